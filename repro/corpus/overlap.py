"""How much of the held-out text occurs in the training text: shared 13-grams of words.

The first LIMIT held-out n-grams are counted, with repetitions. Words are runs of letters and digits, lowercased; no
n-gram crosses documents.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repro import strict
from repro.corpus.chunks import bytes_of, distinct, gather

WORDS = 13
# Maximum number of held-out n-grams: at most 80 MB of hashes.
LIMIT = 10_000_000
BITS = 24
HASHES = 2  # version of the hash function: a build doesn't resume from hashes of another version
FACTOR = 0x9E3779B97F4A7C15
# Lowercases ASCII and replaces all ASCII characters but letters and digits with spaces.
_PLAIN = bytes(byte if byte >= 128 else ord(chr(byte).lower()) if chr(byte).isalnum() else 32 for byte in range(256))


@strict.dataclass
class Overlap:
    """`shared` of the held-out text's `heldout` n-grams of `words` words occur in the training text."""

    words: int
    heldout: int
    shared: int

    @property
    def share(self) -> float:
        return self.shared / self.heldout if self.heldout else 0.0


class HeldoutNgrams:
    """The n-grams to look for in training text. values: their hashes, (m,) uint64 in ascending order."""

    def __init__(self, values: np.ndarray, words: int = WORDS):
        self.values, self.words = values, words
        self._maybe = np.zeros(1 << BITS, bool)  # by a hash's leading bits: rejects most n-grams with one lookup
        self._maybe[values >> np.uint64(64 - BITS)] = True

    def seen_in(self, texts: pa.LargeStringArray) -> np.ndarray:
        """Indices of the values that occur in `texts`, (n,)."""
        hashes = ngram_hashes(texts, self.words)
        hashes = hashes[self._maybe[(hashes >> np.uint64(64 - BITS)).view(np.int64)]]
        if not len(hashes):
            return np.empty(0, np.int64)
        nearest = np.searchsorted(self.values[:-1], hashes)
        return np.unique(nearest[self.values[nearest] == hashes])


def ngram_hashes(texts: pa.LargeStringArray, words: int) -> np.ndarray:
    """64-bit hashes of all n-grams of `words` words in `texts`, (n-grams,) uint64."""
    word, begins = _words(texts)
    count = len(word) - words + 1
    if count < 1:
        return np.empty(0, np.uint64)
    crossing = np.subtract.outer(begins, np.arange(1, words)).reshape(-1)
    inside = np.ones(count, bool)
    inside[crossing[(crossing >= 0) & (crossing < count)]] = False  # they begin in one document and end in another
    return _rolled(word, words)[inside]


def _words(texts: pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the words of all texts, (words,) uint64, and the index of each text's first word, (texts,)."""
    data, bounds = bytes_of(texts)
    plain = data.translate(_PLAIN)
    space = np.frombuffer(plain, np.uint8) == 32
    begins = ~space
    begins[1:] &= space[:-1]
    first = bounds[:-1][bounds[:-1] < bounds[1:]]
    begins[first] = ~space[first]
    # A chunk is a word with the spaces after it; non-ASCII text is split further, once per distinct chunk.
    at = np.flatnonzero(begins)
    chunks, which = distinct(plain, at)
    word, until = gather(*_hashes(chunks), which)
    return word, until[np.searchsorted(at, bounds[:-1])]


def _hashes(chunks: pa.LargeBinaryArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hashes of the words of all chunks, (words,) uint64; each chunk's first index in them; its number of words."""
    start, lengths = np.arange(len(chunks)), np.ones(len(chunks), np.int64)
    beyond = np.flatnonzero(pc.invert(pc.string_is_ascii(chunks.cast(pa.large_string()))))
    lower = pc.utf8_lower(chunks.take(beyond).cast(pa.large_string()))
    spaced = pc.utf8_trim_whitespace(pc.replace_substring_regex(lower, r"[^\p{L}\p{N} ]+", " "))
    words = pc.ascii_split_whitespace(spaced)
    offsets = words.offsets.to_numpy()
    start[beyond] = len(chunks) + offsets[:-1]
    lengths[beyond] = np.diff(offsets) * (pc.binary_length(spaced).to_numpy() > 0)  # punctuation has no words
    return np.concatenate([_hashed(chunks), _hashed(words.flatten().cast(pa.large_binary()))]), start, lengths


def _hashed(words: pa.LargeBinaryArray) -> np.ndarray:
    """64-bit hashes of words, ignoring spaces: a polynomial of the bytes modulo 2^64, with its bits mixed."""
    data, bounds = bytes_of(words)
    lengths = np.diff(bounds)
    terms = np.frombuffer(data, np.uint8).astype(np.uint64)
    terms[terms == 32] = 0
    powers = np.multiply.accumulate(np.full(int(lengths.max(initial=0)), FACTOR, np.uint64))
    terms *= powers[np.arange(len(terms)) - np.repeat(bounds[:-1], lengths)]
    sums = np.append(np.uint64(0), np.cumsum(terms, dtype=np.uint64))[bounds]
    found = sums[1:] - sums[:-1]
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):  # splitmix64's last steps
        found = (found ^ found >> np.uint64(shift)) * np.uint64(factor)
    return found


def _rolled(word: np.ndarray, words: int) -> np.ndarray:
    """Rolling hash: a polynomial modulo 2^64 of every `words` consecutive word hashes, which depends on their order."""
    power, span = pow(FACTOR, 1, 1 << 64), word  # span: polynomials of 1, 2, 4 ... consecutive words
    rolled, done, width = None, 0, 1
    count = len(word) - words + 1
    # From the last word backwards: prepending a run to what is done adds run * FACTOR ** (number of words done).
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
