"""The calibration set: the sequences on which weights are scored. Every result depends on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from repro.corpus import Corpus
from repro.errors import UserError
from repro.evaluation.texts import Text


@dataclass(frozen=True)
class CalibrationSet:
    """Sequences of a text with its name and hash, drawn with a seed. tokens: (sequences, length) int64."""

    name: str
    hash: str
    seed: int
    tokens: torch.Tensor

    def to_dict(self) -> dict[str, Any]:
        """What identifies it, and a hash of its tokens."""
        sequences, length = self.tokens.shape
        digest = hashlib.sha256(self.tokens.contiguous().numpy().tobytes()).hexdigest()[:16]
        return {
            "name": self.name,
            "hash": self.hash,
            "seed": self.seed,
            "sequences": sequences,
            "length": length,
            "tokens": self.tokens.numel(),
            "tokens_hash": digest,
        }


def draw(text: Text, sequences: int, length: int, seed: int, apart: int = 0) -> CalibrationSet:
    """Draws sequences, without repetition and in the order of the text, whose documents are cut as one stream into windows.

    Args:
        apart: how many windows are left for `held_out`, and not drawn from.

    Raises:
        UserError: the text is too short, or a size is out of range.
    """
    for key, found, least in (("sequences", sequences, 1), ("length", length, 2)):
        if found < least:
            raise UserError("an empty calibration set", key=key, found=found, expected=f"{least} or more")
    rows = _windows(text, length, sequences + apart)
    free = np.setdiff1d(np.arange(len(rows)), _spread(len(rows), apart))
    chosen = np.sort(np.random.default_rng(seed).choice(free, sequences, replace=False))
    return CalibrationSet(text.name, text.hash, seed, torch.from_numpy(rows[chosen].astype(np.int64)))


def held_out(text: Text, sequences: int, length: int) -> torch.Tensor:
    """Evenly spread windows of a text that `draw` leaves apart, whatever its seed: (sequences, length) int64.

    Raises:
        UserError: the text is too short.
    """
    rows = _windows(text, length, sequences)
    return torch.from_numpy(rows[_spread(len(rows), sequences)].astype(np.int64))


def from_corpus(text: Corpus, sequences: int, length: int, seed: int) -> CalibrationSet:
    """Draws rows of the training part of a corpus, in its order, of which each gives its first `length` tokens.

    Raises:
        UserError: too few rows or too short ones, or rows of whole documents, which are padded.
    """
    rows, width = len(text.train), text.manifest.sequence + 1
    if (packing := text.manifest.spec.packing) != "concatenate":
        message = "rows with padding, which can't be calibration text"
        raise UserError(message, file=text.folder, key="corpus.packing", found=packing, expected="concatenate")
    if sequences > rows or length > width:
        message = "calibration text too short"
        found = f"{rows:,} rows of {width:,} tokens"
        expected = f"at least {sequences:,} of {length:,}"
        raise UserError(message, file=text.folder, key="calibration", found=found, expected=expected)
    chosen = np.sort(np.random.default_rng(seed).choice(rows, sequences, replace=False))
    tokens = text.train.take(chosen)[:, :length].astype(np.int64)
    return CalibrationSet(f"{text.manifest.spec.name}, training part", text.hash, seed, torch.from_numpy(tokens))


def _windows(text: Text, length: int, wanted: int) -> np.ndarray:
    """The disjoint windows of a text, (windows, length)."""
    stream = np.concatenate(text.documents)
    windows = len(stream) // length
    if windows < wanted:
        found = f"{len(stream):,} tokens, {windows:,} sequences of {length:,}"
        expected = f"at least {wanted * length:,} tokens, {wanted:,} sequences"
        raise UserError("calibration text too short", file=text.name, found=found, expected=expected)
    return stream[: windows * length].reshape(windows, length)


def _spread(windows: int, count: int) -> np.ndarray:
    return np.arange(count) * windows // count if count else np.zeros(0, np.int64)
