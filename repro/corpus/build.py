"""Source -> text -> tokenizer -> packed rows -> shards and manifest, in a folder that appears whole."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from repro.corpus import overlap
from repro.corpus.corpus import TOKENIZER, Corpus
from repro.corpus.manifest import SCHEMA_VERSION, Manifest, Split
from repro.corpus.packing import pack, padding, token_dtype
from repro.corpus.shards import SHARD_BYTES, write_shards
from repro.corpus.sources import open_source
from repro.corpus.spool import Spool, ingest
from repro.corpus.tokenizer import Tokenizer, load_pretrained, train_bpe
from repro.errors import UserError
from repro.spec import CorpusSpec, canonical
from repro.storage import Folder

LISTED_GROUPS = 1000
Progress = Callable[[str], object]


def build(spec: CorpusSpec, vocab: int, sequence: int, root: Folder | str | os.PathLike[str],
          progress: Progress | None = None, shard_rows: int | None = None) -> Corpus:
    """The corpus that `spec` names, built under `root` unless a whole one is there.

    Args:
        spec: the text and how it is cut.
        vocab: vocabulary of the model, in tokens.
        sequence: sequence length of the model, in tokens.
        root: a folder on a local disk, as shards are memory-mapped.
        progress: told what is being done, a line at a time.
        shard_rows: the most rows a shard may have; by default as many as fill SHARD_BYTES.

    Raises:
        UserError: no text, not the text that text_sha256 names, too little of it, or a damaged folder.
    """
    root = _local(root)
    folder = root / _folder_name(spec, vocab, sequence, open_source(spec).content(root))
    if not folder.exists():
        root.mkdir(parents=True, exist_ok=True)
        # What a killed build leaves is a hidden scratch folder, which nothing ever opens.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=root) as scratch:
            whole = Path(scratch) / folder.name
            whole.mkdir()
            spool = _ingest(spec, Path(scratch) / "text.arrow", progress or _silent)
            _write(spec, vocab, sequence, spool, whole, shard_rows, progress or _silent)
            try:
                whole.rename(folder)
            except OSError:
                if not folder.exists():  # else another process was first, with the same corpus
                    raise
    corpus = Corpus(folder)
    _check_text(spec, corpus.manifest.text_sha256)
    return corpus


def _silent(line: str) -> None:
    """Progress that nobody asked for."""


def _local(root: Folder | str | os.PathLike[str]) -> Path:
    folder = root if isinstance(root, Folder) else Folder.open(root)
    if not folder.is_local:
        raise UserError("token shards must lie on a local disk", key="storage.corpus", found=str(root),
                        expected="a local folder, which shards can be memory-mapped from")
    return Path(folder.path)


def _folder_name(spec: CorpusSpec, vocab: int, sequence: int, content: str) -> str:
    """NAME-vVOCAB-sSEQUENCE-HASH; text_sha256 is a check on the text and makes no other corpus of it."""
    identity = [SCHEMA_VERSION, canonical(dataclasses.replace(spec, text_sha256=None)), vocab, sequence, content]
    name = re.sub(r"[^\w.]+", "-", spec.name).strip("-.")
    return f"{name}-v{vocab}-s{sequence}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]}"


def _ingest(spec: CorpusSpec, path: Path, say: Progress) -> Spool:
    say(f"corpus {spec.name}: reading the text")
    spool = ingest(spec, path)
    _check_text(spec, spool.sha256)
    return spool


def _check_text(spec: CorpusSpec, found: str) -> None:
    if spec.text_sha256 is not None and spec.text_sha256 != found:
        raise UserError("the text is not the one that was declared", file=f"{spec.source} {spec.name}", key="corpus.text_sha256",
                        found=found, expected=spec.text_sha256)


def _write(spec: CorpusSpec, vocab: int, sequence: int, spool: Spool, folder: Path, shard_rows: int | None, say: Progress) -> None:
    """Everything that a corpus folder holds, from extracted text."""
    say(f"corpus {spec.name}: {'training' if spec.tokenizer == 'bpe' else 'loading'} the tokenizer")
    tokenizer = train_bpe(spool.texts(heldout=False), vocab) if spec.tokenizer == "bpe" else load_pretrained(spec.tokenizer, vocab)
    Folder.open(folder).write(TOKENIZER, tokenizer.to_bytes())
    rows = shard_rows or max(1, SHARD_BYTES // ((sequence + 1) * token_dtype(vocab).itemsize))
    say(f"corpus {spec.name}: encoding and packing")
    heldout, names = _write_split(spec, vocab, sequence, spool, tokenizer, folder, rows, heldout=True)
    train, _ = _write_split(spec, vocab, sequence, spool, tokenizer, folder, rows, heldout=False)
    say(f"corpus {spec.name}: measuring the overlap of held-out and training text")
    shared = overlap.measure(spool.texts(heldout=True), spool.texts(heldout=False))
    Manifest(schema_version=SCHEMA_VERSION, spec=spec, licence=open_source(spec).licence,
             versions={**open_source(spec).versions, "tokenizers": importlib.metadata.version("tokenizers")},
             text_sha256=spool.sha256, vocab=vocab, sequence=sequence, bos=tokenizer.bos, eos=tokenizer.eos,
             tokenizer_sha256=hashlib.sha256(tokenizer.to_bytes()).hexdigest(), shard_rows=rows, train=train, heldout=heldout,
             heldout_groups=names, overlap=shared).write(Folder.open(folder))


@dataclass
class _Tally:
    """Counts of what flows through a split's pipeline, taken on the way."""

    documents: int = 0
    characters: int = 0
    tokens: int = 0
    rows: int = 0
    groups: int = 0
    names: list[str] = field(default_factory=list)  # of the first LISTED_GROUPS + 1 groups
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def encoded(self, spool: Spool, heldout: bool, tokenizer: Tokenizer) -> Iterator[list[np.ndarray]]:
        last = None
        for groups, texts in spool.read(heldout=heldout):
            self.documents += len(texts)
            self.characters += sum(map(len, texts))
            for group in groups:
                if group != last:
                    self.groups += 1
                    if len(self.names) <= LISTED_GROUPS:
                        self.names.append(group)
                last = group
            yield tokenizer.encode_batch(texts)

    def packed(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self.rows += len(block)
            self.tokens += int(np.count_nonzero(block != padding(block.dtype)))
            self.digest.update(np.ascontiguousarray(block))
            yield block


def _write_split(spec: CorpusSpec, vocab: int, sequence: int, spool: Spool, tokenizer: Tokenizer, folder: Path, shard_rows: int,
                 *, heldout: bool) -> tuple[Split, tuple[str, ...] | None]:
    tally, name, dtype = _Tally(), "heldout" if heldout else "train", token_dtype(vocab)
    blocks = tally.packed(pack(tally.encoded(spool, heldout, tokenizer), spec.packing, sequence, dtype))
    shards = write_shards(blocks, folder, name, sequence + 1, dtype, shard_rows)
    if not shards:
        raise UserError(f"too little text for one row of the {name} split", file=f"{spec.source} {spec.name}", key="model.sequence",
                        found=f"{tally.characters} characters", expected=f"at least {sequence + 1} tokens")
    split = Split(tally.documents, tally.groups, tally.characters, tally.tokens, tally.rows, tally.digest.hexdigest(), shards)
    return split, tuple(tally.names) if tally.groups <= LISTED_GROUPS else None
