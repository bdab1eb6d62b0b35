"""What a corpus folder holds, from extracted text: tokenizer.json, the shards of both splits, manifest.json."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from repro.corpus import overlap
from repro.corpus.corpus import TOKENIZER
from repro.corpus.manifest import SCHEMA_VERSION, Manifest, Split
from repro.corpus.packing import pack, padding, token_dtype
from repro.corpus.shards import SHARD_BYTES, write_shards
from repro.corpus.sources import open_source
from repro.corpus.spool import Spool
from repro.corpus.tokenizer import Tokenizer, load_pretrained, train_bpe
from repro.errors import UserError
from repro.spec import CorpusSpec
from repro.storage import Folder

LISTED_GROUPS = 1000


@dataclass(frozen=True)
class CorpusWriter:
    """Fills `folder`, which nobody reads yet. Arguments as in `build`."""

    spec: CorpusSpec
    vocab: int
    sequence: int
    spool: Spool
    folder: Path
    say: Callable[[str], object]
    shard_rows: int | None = None

    def write(self) -> None:
        """Raises UserError when the text is too little for the vocabulary or for one row of either split."""
        name, source = self.spec.name, open_source(self.spec)
        self.say(f"corpus {name}: {'training' if self.spec.tokenizer == 'bpe' else 'loading'} the tokenizer")
        tokenizer = self._tokenizer()
        tokenizer_json = tokenizer.to_bytes()
        Folder.open(self.folder).write(TOKENIZER, tokenizer_json)
        self.say(f"corpus {name}: encoding and packing")
        dtype = token_dtype(self.vocab)
        shard_rows = self.shard_rows or max(1, SHARD_BYTES // ((self.sequence + 1) * dtype.itemsize))
        heldout, heldout_groups = self._split("heldout", tokenizer, dtype, shard_rows)
        train, _ = self._split("train", tokenizer, dtype, shard_rows)
        self.say(f"corpus {name}: measuring the overlap of held-out and training text")
        shared = overlap.measure(self.spool.texts(heldout=True), self.spool.texts(heldout=False))
        Manifest(
            schema_version=SCHEMA_VERSION,
            spec=self.spec,
            licence=source.licence,
            versions={**source.versions, "tokenizers": importlib.metadata.version("tokenizers")},
            text_sha256=self.spool.sha256,
            vocab=self.vocab,
            sequence=self.sequence,
            bos=tokenizer.bos,
            eos=tokenizer.eos,
            tokenizer_sha256=hashlib.sha256(tokenizer_json).hexdigest(),
            shard_rows=shard_rows,
            train=train,
            heldout=heldout,
            heldout_groups=heldout_groups,
            overlap=shared,
        ).write(Folder.open(self.folder))

    def _tokenizer(self) -> Tokenizer:
        if self.spec.tokenizer == "bpe":
            return train_bpe(self.spool.texts(heldout=False), self.vocab)  # never on what is held out
        return load_pretrained(self.spec.tokenizer, self.vocab)

    def _split(
        self, name: str, tokenizer: Tokenizer, dtype: np.dtype, shard_rows: int
    ) -> tuple[Split, tuple[str, ...] | None]:
        """Writes the shards of "train" or "heldout"; the groups' names are None when there are too many."""
        tally = _Tally()
        documents = tally.encoded(self.spool.read(heldout=name == "heldout"), tokenizer)
        blocks = tally.packed(pack(documents, self.spec.packing, self.sequence, dtype))
        shards = write_shards(blocks, self.folder, name, self.sequence + 1, dtype, shard_rows)
        if not shards:
            raise UserError(
                f"too little text for one row of the {name} split",
                file=f"{self.spec.source} {self.spec.name}",
                key="model.sequence",
                found=f"{tally.characters} characters",
                expected=f"at least {self.sequence + 1} tokens",
            )
        split = Split(
            tally.documents, tally.groups, tally.characters, tally.tokens, tally.rows, tally.digest.hexdigest(), shards
        )
        return split, tuple(tally.names) if tally.groups <= LISTED_GROUPS else None


@dataclass
class _Tally:
    """Counts of what flows through a split's pipeline, taken on the way. names: of the first groups."""

    documents: int = 0
    groups: int = 0
    characters: int = 0
    tokens: int = 0
    rows: int = 0
    names: list[str] = field(default_factory=list)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def encoded(
        self, batches: Iterator[tuple[list[str], list[str]]], tokenizer: Tokenizer
    ) -> Iterator[list[np.ndarray]]:
        last = None
        for groups, texts in batches:
            self.documents += len(texts)
            self.characters += sum(map(len, texts))
            for group in groups:  # a group's documents follow each other
                if group != last:
                    self.groups += 1
                    if len(self.names) < LISTED_GROUPS:
                        self.names.append(group)
                last = group
            yield tokenizer.encode_batch(texts)

    def packed(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self.rows += len(block)
            self.tokens += int(np.count_nonzero(block != padding(block.dtype)))
            self.digest.update(block.tobytes())
            yield block
