"""manifest.json: a corpus folder's contents, their origin and their hashes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator

from repro import strict
from repro.corpus.overlap import Overlap
from repro.corpus.packing import token_dtype
from repro.errors import UserError
from repro.spec import CorpusSpec
from repro.store.folder import Folder

SCHEMA_VERSION = 1
FILE = "manifest.json"
MOST_BYTES = 1 << 28  # size limit of a manifest, which has about 40 bytes for each 256 KiB of tokens
_SHA256 = re.compile("[0-9a-f]{64}")


@strict.dataclass
class ShardFile:
    """One Arrow file.

    bytes: file size. sha256: hash of the file. groups: hash of every `group_rows` rows (checks.py); absent from older
    manifests.
    """

    file: str
    rows: int
    bytes: int
    sha256: str
    group_rows: int | None = None
    groups: tuple[str, ...] = ()


@strict.dataclass
class Split:
    """Training or held-out text.

    tokens: tokens in the rows without padding. sha256: hash of the rows' bytes in order. unknown: how many of the
    tokens stand for a character outside the vocabulary; null if the tokenizer has no such token, and in older manifests.
    """

    documents: int
    groups: int
    characters: int
    tokens: int
    rows: int
    sha256: str
    shards: tuple[ShardFile, ...]
    unknown: int | None = None


@strict.dataclass
class Manifest:
    """Everything known about a corpus.

    spec: the text, its tokenizer and its packing. versions: versions of packages that text and tokens depend on.
    text_sha256: hash of all extracted text. shard_rows: maximum rows of a shard. heldout_groups: names of the held-out
    groups, null if too many to list. unused: number of ids that no training row contains; null in older manifests.
    """

    schema_version: int
    spec: CorpusSpec
    licence: str
    versions: dict[str, str]
    text_sha256: str
    vocab: int
    sequence: int
    bos: int
    eos: int
    tokenizer_sha256: str
    shard_rows: int
    train: Split
    heldout: Split
    heldout_groups: tuple[str, ...] | None
    overlap: Overlap
    unused: int | None = None

    @property
    def hash(self) -> str:
        """12 hex digits that identify what a model sees: equal for equal rows with equal packing and marks."""
        seen = [
            self.vocab,
            self.sequence,
            self.spec.packing,
            self.bos,
            self.eos,
            self.train.sha256,
            self.heldout.sha256,
        ]
        return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:12]

    def write(self, folder: Folder) -> None:
        folder.write_json(FILE, dataclasses.asdict(self))

    @classmethod
    def read(cls, folder: Folder) -> Manifest:
        """Raises UserError if the file is missing, malformed, inconsistent, or of another schema version."""
        path = f"{folder}/{FILE}"
        if not folder.exists(FILE):
            raise UserError("not a corpus", file=path, found="no such file", expected=f"a folder with {FILE}")
        size = folder.filesystem.get_file_info(path).size
        if size is None or size > MOST_BYTES:
            most = f"a file of at most {MOST_BYTES:,}"
            raise UserError("not a corpus", file=path, found=f"{size} bytes", expected=most)
        try:
            data = json.loads(folder.read(FILE))
        except (ValueError, RecursionError) as error:
            found = "nested too deeply" if isinstance(error, RecursionError) else f"not valid JSON: {str(error)[:200]}"
            expected = "a manifest as a build writes it"
            raise UserError("not a corpus", file=path, found=found, expected=expected) from error
        version = data.get("schema_version") if isinstance(data, dict) else None
        if version != SCHEMA_VERSION:
            raise UserError(
                "a corpus of another schema version",
                file=path,
                key="schema_version",
                found=version,
                expected=f"{SCHEMA_VERSION}; delete the folder to rebuild it",
            )
        made = strict.build(cls, data, file=path)
        for key, what in _faults(made):
            raise UserError("a damaged manifest; delete its folder to rebuild it", file=path, key=key, found=what)
        return made


def _faults(made: Manifest) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) for every value that becomes a path, a memory size or a loop bound."""
    if not 1 <= made.vocab < 1 << 32:
        yield "vocab", str(made.vocab)
    if not 1 <= made.sequence <= 1 << 24:
        yield "sequence", str(made.sequence)
    for key in ("bos", "eos"):
        if not 0 <= getattr(made, key) < made.vocab:
            yield key, f"{getattr(made, key)}, with a vocabulary of {made.vocab}"
    for key in ("text_sha256", "tokenizer_sha256"):
        if not _SHA256.fullmatch(getattr(made, key)):
            yield key, repr(getattr(made, key))[:80]
    if not 0 <= (made.unused or 0) < made.vocab:
        yield "unused", f"{made.unused}, with a vocabulary of {made.vocab}"
    if min(made.overlap.words, made.overlap.heldout, made.overlap.shared) < 0:
        yield "overlap", "a count below 0"
    row_bytes = (made.sequence + 1) * token_dtype(made.vocab).itemsize
    for side in ("train", "heldout"):
        split: Split = getattr(made, side)
        if not split.shards or split.rows != sum(shard.rows for shard in split.shards):
            yield f"{side}.rows", f"{split.rows}, and {sum(shard.rows for shard in split.shards)} in its shards"
        if min(split.documents, split.groups, split.characters, split.tokens, split.unknown or 0) < 0:
            yield side, "a count below 0"
        for number, shard in enumerate(split.shards):
            for key, what in _faults_of(shard, f"{side}-{number:05d}.arrow", row_bytes):
                yield f"{side}.shards[{number}].{key}", what


def _faults_of(shard: ShardFile, file: str, row_bytes: int) -> Iterator[tuple[str, str]]:
    if shard.file != file:
        yield "file", f"{shard.file[:80]!r}, not {file}"
    if shard.rows < 1 or shard.bytes < shard.rows * row_bytes:
        yield "rows", f"{shard.rows} rows of {row_bytes} bytes in {shard.bytes} bytes"
    if not _SHA256.fullmatch(shard.sha256):
        yield "sha256", repr(shard.sha256)[:80]
    if (shard.group_rows is None) != (not shard.groups):
        yield "groups", "hashes without the rows that each is of, or the other way round"
    elif shard.group_rows is not None and len(shard.groups) != -(-shard.rows // max(1, shard.group_rows)):
        yield "groups", f"{len(shard.groups)} hashes of {shard.group_rows} rows each, of {shard.rows} rows"
