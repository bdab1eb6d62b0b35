"""Writes a corpus folder from extracted text: tokenizer.json, the shards of both splits, manifest.json.

A pool's workers encode token parts, which are joined here in order; parts that are in a complete shard are deleted
from the work folder, so that only the current shard's tokens are stored twice.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.console.progress import TimedProgress
from repro.corpus.bpe import BOS, EOS, TRAINED
from repro.corpus.encode import LISTED_GROUPS, NGRAMS, TOKENIZER, Encoder, TokenPart
from repro.corpus.extract import ExtractedText, TrainingText
from repro.corpus.joiner import Joiner
from repro.corpus.manifest import SCHEMA_VERSION, Manifest, Split
from repro.corpus.overlap import LIMIT, WORDS, Overlap
from repro.corpus.packing import token_dtype
from repro.corpus.pool import Pool, in_order
from repro.corpus.shards import Histogram, TokenRows, histogram
from repro.corpus.sources import open_source
from repro.corpus.tokenizer import Tokenizer
from repro.errors import UserError
from repro.spec import CorpusSpec
from repro.store.folder import Folder

SEEN = "seen"  # file: which held-out n-grams occur in the training text so far, one byte each


@dataclass(frozen=True)
class CorpusWriter:
    """Fills `folder`, which nothing reads yet, from the text in `work`.

    pretrained: the tokenizer; None: train one. Other arguments as in `build`.
    """

    spec: CorpusSpec
    vocab: int
    sequence: int
    extracted: ExtractedText
    folder: Path
    work: Folder
    pool: Pool
    progress: TimedProgress
    shard_rows: int
    pretrained: Tokenizer | None

    def write(self) -> None:
        """Raises UserError if there is too little text for the vocabulary or for one row of either split."""
        source = open_source(self.spec)
        tokenizer = self._tokenizer()
        tokenizer_json = self.work.read(TOKENIZER)
        Folder.open(self.folder).write(TOKENIZER, tokenizer_json)
        dtype = token_dtype(self.vocab).name
        encoders = [Encoder(self.work, side, tokenizer.bos, tokenizer.eos, dtype) for side in ("heldout", "train")]
        heldout, groups = self._split(encoders[0])
        ngrams, counts = self._ngrams(encoders[0])
        self.work.write(NGRAMS, ngrams.data)
        seen = np.zeros(len(ngrams), np.uint8)
        if self.work.exists(SEEN):
            seen = np.frombuffer(self.work.read(SEEN), np.uint8).copy()
        train, _ = self._split(encoders[1], seen)
        train, tokens = self._counted(train, tokenizer)
        heldout, _ = self._counted(heldout, tokenizer)
        Manifest(
            schema_version=SCHEMA_VERSION,
            spec=self.spec,
            licence=source.licence,
            versions={**source.versions, "tokenizers": importlib.metadata.version("tokenizers")},
            text_sha256=self.extracted.sha256,
            vocab=self.vocab,
            sequence=self.sequence,
            bos=tokenizer.bos,
            eos=tokenizer.eos,
            tokenizer_sha256=hashlib.sha256(tokenizer_json).hexdigest(),
            shard_rows=self.shard_rows,
            train=train,
            heldout=heldout,
            heldout_groups=groups if heldout.groups <= LISTED_GROUPS else None,
            overlap=Overlap(WORDS, int(counts.sum()), int(counts[seen > 0].sum())),
            unused=tokens.unused,
        ).write(Folder.open(self.folder))

    def _tokenizer(self) -> Tokenizer:
        if self.pretrained is None and self.work.exists(TOKENIZER):  # an earlier build has trained it
            tokenizer = Tokenizer.from_bytes(self.work.read(TOKENIZER), 0, 0)
            ids = tokenizer.backend.get_vocab()
            return dataclasses.replace(tokenizer, bos=ids[BOS], eos=ids[EOS])
        if self.pretrained is None:
            self.progress.line("training the tokenizer")
            train = TRAINED[self.spec.tokenizer]
            tokenizer = train(TrainingText(self.extracted, self.work), self.vocab)  # never on what is held out
        else:
            tokenizer = self.pretrained
        self.work.write(TOKENIZER, tokenizer.to_bytes())
        return tokenizer

    def _split(self, encoder: Encoder, seen: np.ndarray | None = None) -> tuple[Split, tuple[str, ...]]:
        """Encodes and writes one split. Returns it and its groups' names; marks in `seen` the n-grams that occur."""
        numbers = self.extracted.side(heldout=encoder.side == "heldout")
        packing, dtype = self.spec.packing, np.dtype(encoder.dtype)
        joiner = Joiner(self.folder, self.work, encoder.side, packing, self.sequence, dtype, self.shard_rows)
        parts = [self.extracted.parts[number] for number in numbers]
        there, kept = set(self.work.names()), joiner.at
        self.progress.begin(f"encoding and packing the {encoder.side} text", sum(p.bytes for p in parts), "MB", 10**6)
        self.progress.advance(sum(part.bytes for part in parts[:kept]))
        for number in in_order(self.pool, encoder, numbers[kept:], lambda number: encoder.name(number) in there):
            part = TokenPart.read(self.work, encoder.name(number))
            self.progress.advance(self.extracted.parts[number].bytes)
            filled = joiner.add(part)
            if seen is None:
                if filled:
                    joiner.save()
                continue
            seen[part.ngrams] = 1
            if filled:
                self.work.write(SEEN, seen.data)
                needed = joiner.save()
                for spent in range(kept, needed):
                    self.work.delete(encoder.name(numbers[spent]))
                    self.work.delete(parts[spent].file)
                kept = needed
        split = joiner.close()
        if not split.shards:
            raise UserError(
                f"too little text for one row of the {encoder.side} split",
                file=f"{self.spec.source} {self.spec.name}",
                key="model.sequence",
                found=f"{split.characters} characters",
                expected=f"at least {self.sequence + 1} tokens",
            )
        return split, joiner.counts.names

    def _counted(self, split: Split, tokenizer: Tokenizer) -> tuple[Split, Histogram]:
        """The split with its unknown tokens counted, and how often each token occurs in it."""
        tokens = histogram(TokenRows(self.folder, split.shards, self.sequence + 1), self.vocab)
        if tokenizer.unknown is None:
            return split, tokens
        return dataclasses.replace(split, unknown=int(tokens.counts[tokenizer.unknown])), tokens

    def _ngrams(self, encoder: Encoder) -> tuple[np.ndarray, np.ndarray]:
        """The first LIMIT n-grams of the held-out text: their hashes, ascending, and how often each occurs."""
        found = np.empty(0, np.uint64)
        for number in self.extracted.side(heldout=True):
            found = np.concatenate([found, TokenPart.read(self.work, encoder.name(number)).ngrams])[:LIMIT]
            if len(found) == LIMIT:
                break
        return np.unique(found, return_counts=True)
