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
BITS = 24
FACTOR = 0x9E3779B97F4A7C15
_PLAIN = bytes(byte if byte >= 128 or chr(byte).isalnum() else 32 for byte in range(256))


@dataclass(frozen=True)
class Overlap:
    """Of `heldout` n-grams of `words` words in the held-out text, `shared` occur in the training text."""

    words: int
    heldout: int
    shared: int

    @property
    def share(self) -> float:
        return self.shared / self.heldout if self.heldout else 0.0


class Wanted:
    """N-grams to look for. values: their hashes, (m,) uint64 in ascending order."""

    def __init__(self, values: np.ndarray, words: int = WORDS):
        self.values, self.words = values, words
        self._maybe = np.zeros(1 << BITS, bool)  # by a hash's first bits: most n-grams are told off by one look
        self._maybe[values >> np.uint64(64 - BITS)] = True

    def seen_in(self, texts: list[str]) -> np.ndarray:
        """Which of the values occur in `texts`: (n,) indices."""
        hashes = ngram_hashes(texts, self.words)
        hashes = hashes[self._maybe[(hashes >> np.uint64(64 - BITS)).view(np.int64)]]
        if not len(hashes):
            return np.empty(0, np.int64)
        nearest = np.searchsorted(self.values[:-1], hashes)
        return np.unique(nearest[self.values[nearest] == hashes])


def ngram_hashes(texts: list[str], words: int) -> np.ndarray:
    """64-bit hashes of all n-grams of `words` words in `texts`, (n-grams,) uint64."""
    documents = pc.ascii_split_whitespace(pc.utf8_trim_whitespace(_spaced(texts)))
    vocabulary = documents.flatten().dictionary_encode()
    digests = b"".join(
        hashlib.blake2b(entry.encode(), digest_size=8).digest() for entry in vocabulary.dictionary.to_pylist()
    )
    word = np.frombuffer(digests, "<u8")[vocabulary.indices.to_numpy()]  # (words of all documents,)
    count = len(word) - words + 1
    if count < 1:
        return np.empty(0, np.uint64)
    crossing = np.subtract.outer(documents.offsets.to_numpy(), np.arange(1, words)).reshape(-1)
    inside = np.ones(count, bool)
    inside[crossing[(crossing >= 0) & (crossing < count)]] = False  # they begin in one document and end in another
    return _rolled(word, words)[inside]


def _spaced(texts: list[str]) -> pa.Array:
    """The texts in lower case, with spaces for all but letters and digits."""
    array = pa.array(texts, pa.large_string())
    _, offsets, data = array.buffers()
    # ASCII first, which is most of it: a byte for a byte, and much faster than a regular expression.
    plain = pa.py_buffer(data.to_pybytes().translate(_PLAIN)) if data else data
    array = pa.Array.from_buffers(pa.large_string(), len(array), [None, offsets, plain])
    return pc.replace_substring_regex(pc.utf8_lower(array), r"[^\p{L}\p{N} ]+", " ")


def _rolled(word: np.ndarray, words: int) -> np.ndarray:
    """Of each run of `words` of the words' hashes a polynomial modulo 2^64, in which their order matters."""
    power, span = pow(FACTOR, 1, 1 << 64), word  # span: the polynomials of runs of 1, 2, 4 ... words
    rolled, done, width = None, 0, 1
    count = len(word) - words + 1
    # From the last word backwards: a run is what stands before it times FACTOR ** its length, plus itself.
    while width <= words:
        if words & width:
            at = words - done - width
            if rolled is None:
                rolled = span[at : at + count].copy()
            else:
                rolled += span[at : at + count] * np.uint64(pow(FACTOR, done, 1 << 64))
            done += width
        if 2 * width <= words:
            span = span[:-width] * np.uint64(power) + span[width:]
            power = power * power % (1 << 64)
        width *= 2
    assert rolled is not None
    return rolled
