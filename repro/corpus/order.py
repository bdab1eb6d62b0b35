"""The order of the rows: a stateless function of seed and position.

Row p of the training order is permutation(seed, p // rows)(p % rows). The permutation is a balanced Feistel
network over the smallest power of four that holds all rows; values out of range are permuted again
(cycle walking), which keeps it a bijection. It uses integer arithmetic only, so that it doesn't depend on numpy's
generators.
"""

from __future__ import annotations

import numpy as np

ROUNDS = 4  # rounds after which a Feistel network of random functions is a strong pseudorandom permutation
_MASK = (1 << 64) - 1


def rows_at(step: int, batch: int, rows: int, seed: int, first: int = 0) -> np.ndarray:
    """Indices of the rows of a step's batch, (batch,) int64.

    Args:
        step: 0-based.
        batch: sequences per step, over all workers.
        rows: rows of the corpus, at least 1. Every epoch of `rows` positions visits each row once.
        seed: seed of the data order.
        first: position in the order of step 0, i.e. the number of rows read before it.
    """
    position = first + step * batch + np.arange(batch, dtype=np.uint64)
    epoch, index = np.divmod(position, np.uint64(rows))
    key = _mix(_mix(np.array([seed & _MASK], np.uint64)) ^ epoch)
    return permute(index, rows, key).astype(np.int64)


def permute(index: np.ndarray, size: int, key: np.ndarray) -> np.ndarray:
    """Images of `index` under the permutation of range(size) that `key` selects.

    Args:
        index: (n,) uint64, below `size`.
        size: at least 1.
        key: (n,) uint64, one key per element.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    keys = _mix(key + np.arange(ROUNDS, dtype=np.uint64)[:, None])  # (rounds, n)
    image = _feistel(index, half, keys)
    while len(outside := np.flatnonzero(image >= size)):
        image[outside] = _feistel(image[outside], half, keys[:, outside])
    return image


def _feistel(value: np.ndarray, half: int, keys: np.ndarray) -> np.ndarray:
    mask = np.uint64((1 << half) - 1)
    left, right = value >> np.uint64(half), value & mask
    for key in keys:
        left, right = right, left ^ (_mix(right ^ key) & mask)
    return (left << np.uint64(half)) | right


def _mix(x: np.ndarray) -> np.ndarray:
    """splitmix64 of an array (scalars would warn of the intended overflow): every input bit affects every output bit."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
