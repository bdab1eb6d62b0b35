"""How often each token occurs in rows of a corpus, and statistics of the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from repro.corpus.packing import padding
from repro.corpus.shards import TokenRows

ROWS = 4096  # rows counted at once


@dataclass(frozen=True)
class Histogram:
    """counts: (vocab,) int64, by token id."""

    counts: np.ndarray

    @property
    def unused(self) -> int:
        """Number of ids that no row contains."""
        return int((self.counts == 0).sum())

    @property
    def entropy(self) -> float:
        """Entropy of the token distribution, in bits: the loss of a model that knows frequencies but no context."""
        share = self.counts[self.counts > 0] / self.counts.sum()
        return float(-(share * np.log2(share)).sum())

    def covering(self, share: float) -> int:
        """How many of the most frequent tokens make up `share` of the text."""
        running = np.cumsum(np.sort(self.counts)[::-1])
        return 1 + int(np.searchsorted(running, share * running[-1]))

    def most_frequent(self, count: int) -> list[int]:
        """Ids, the most frequent first; ties by lower id."""
        order = np.argsort(-self.counts, kind="stable")[:count]
        return [int(i) for i in order if self.counts[i]]


def histogram(rows: TokenRows, vocab: int) -> Histogram:
    """Counts the tokens of all rows, without padding."""
    counts = np.zeros(vocab, np.int64)
    for view in rows.views:
        for first in range(0, len(view), ROWS):
            tokens = view[first : first + ROWS].reshape(-1)
            counts += np.bincount(tokens[tokens != padding(tokens.dtype)], minlength=vocab)
    return Histogram(counts)
