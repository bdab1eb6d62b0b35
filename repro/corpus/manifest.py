"""manifest.json: what a corpus folder holds, where it came from, and the hashes to hold it against."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from repro import strict
from repro.corpus.overlap import Overlap
from repro.errors import UserError
from repro.spec import CorpusSpec
from repro.storage import Folder

SCHEMA_VERSION = 1
FILE = "manifest.json"


@dataclass(frozen=True)
class Shard:
    """One Arrow file.

    bytes: its size. sha256: of the file. groups: hashes of each `group_rows` rows (checks.py); older manifests have none.
    """

    file: str
    rows: int
    bytes: int
    sha256: str
    group_rows: int | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """Training or held-out text. tokens: in the rows, padding not counted. sha256: of the rows' bytes in order."""

    documents: int
    groups: int
    characters: int
    tokens: int
    rows: int
    sha256: str
    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class Manifest:
    """Everything known about a corpus.

    spec: the text and how it was cut. versions: of the packages that the text and tokens depend on.
    text_sha256: of all extracted text. shard_rows: the most rows a shard may have. heldout_groups: names, null
    when there are too many to list.
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

    @property
    def hash(self) -> str:
        """12 hex digits of what a model gets to see: equal for equal rows that are read alike."""
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
        """Raises UserError when the file is missing, broken, or of another schema version."""
        path = f"{folder}/{FILE}"
        if not folder.exists(FILE):
            raise UserError("not a corpus", file=path, found="no such file", expected=f"a folder with {FILE}")
        data = folder.read_json(FILE)
        version = data.get("schema_version") if isinstance(data, dict) else None
        if version != SCHEMA_VERSION:
            raise UserError(
                "a corpus of another schema version",
                file=path,
                key="schema_version",
                found=version,
                expected=f"{SCHEMA_VERSION}; delete the folder to build it anew",
            )
        return strict.build(cls, data, file=path)
