"""How much of the held-out text was already seen in training: shared 13-grams of words.

Held-out n-grams are counted as often as they occur, the first LIMIT of them. Words are runs of letters and digits,
lowercased; no n-gram crosses documents.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

WORDS = 13
# Held-out n-grams looked at: 80 MB of hashes at most, whatever the corpus.
LIMIT = 10_000_000


@dataclass(frozen=True)
class Overlap:
    """Of `heldout` n-grams of `words` words in the held-out text, `shared` occur in the training text."""

    words: int
    heldout: int
    shared: int

    @property
    def share(self) -> float:
        return self.shared / self.heldout if self.heldout else 0.0


def seen_in(texts: list[str], values: np.ndarray, words: int = WORDS) -> np.ndarray:
    """Which of the n-grams whose hashes are `values`, (m,) uint64 in ascending order, occur in `texts`: (n,) indices."""
    if not len(values):
        return np.empty(0, np.int64)
    hashes = ngram_hashes(texts, words)
    nearest = np.searchsorted(values[:-1], hashes)
    return np.unique(nearest[values[nearest] == hashes])


def ngram_hashes(texts: list[str], words: int) -> np.ndarray:
    """64-bit hashes of all n-grams of `words` words in `texts`, (n-grams,) uint64."""
    spaced = pc.replace_substring_regex(pc.utf8_lower(pa.array(texts, pa.large_string())), r"[^\p{L}\p{N}]+", " ")
    documents = pc.ascii_split_whitespace(pc.utf8_trim_whitespace(spaced))
    vocabulary = documents.flatten().dictionary_encode()
    digests = b"".join(
        hashlib.blake2b(entry.encode(), digest_size=8).digest() for entry in vocabulary.dictionary.to_pylist()
    )
    word = np.frombuffer(digests, "<u8")[vocabulary.indices.to_numpy()]  # (words of all documents,)
    count = len(word) - words + 1
    if count < 1:
        return np.empty(0, np.uint64)
    rolled = np.zeros(count, np.uint64)
    for offset in range(words):  # a polynomial modulo 2^64 in the words' hashes, so that their order matters
        rolled = rolled * np.uint64(0x9E3779B97F4A7C15) + word[offset : offset + count]
    offsets = documents.offsets.to_numpy()
    ends = np.repeat(offsets[1:], np.diff(offsets))  # of the document of each word
    return rolled[np.arange(count) + words <= ends[:count]]
