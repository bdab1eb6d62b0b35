import random

import numpy as np
import pyarrow as pa
import pytest

from repro.corpus.overlap import HeldoutNgrams, Overlap, ngram_hashes


def measure(heldout, train, words):
    """Overlap of batches of held-out text with batches of training text, put together as a build does."""
    values, counts = np.unique(
        np.concatenate([ngram_hashes(pa.array(texts, pa.large_string()), words) for texts in heldout]),
        return_counts=True,
    )
    seen, wanted = np.zeros(len(values), bool), HeldoutNgrams(values, words)
    for texts in train:
        seen[wanted.seen_in(pa.array(texts, pa.large_string()))] = True
    return Overlap(words, int(counts.sum()), int(counts[seen].sum()))


def words(seed, count):
    generator = random.Random(seed)
    return [f"w{generator.randrange(50)}" for _ in range(count)]


def ngrams(texts, n):
    """The plain definition: tuples of consecutive words of one document."""
    documents = [text.split() for text in texts]
    return [tuple(words[i : i + n]) for words in documents for i in range(len(words) - n + 1)]


@pytest.mark.parametrize("n", [1, 2, 3, 13])
def test_the_share_equals_a_count_over_sets_of_tuples(n):
    heldout = [" ".join(words(seed, 40)) for seed in range(6)]
    train = [" ".join(words(seed, 60)) for seed in range(10, 16)] + [heldout[0], heldout[1][:80]]
    got = measure([heldout[:2], heldout[2:]], [train[:3], train[3:]], words=n)
    seen = set(ngrams(train, n))
    assert got.heldout == len(ngrams(heldout, n))
    assert got.shared == sum(ngram in seen for ngram in ngrams(heldout, n))


def test_case_and_punctuation_do_not_hide_a_copy():
    got = measure([["The list, of ALL items (or none)."]], [["x the list of all items or none x"]], words=5)
    assert (got.heldout, got.shared, got.share) == (3, 3, 1.0)


def test_letters_of_any_script_are_words_and_other_marks_part_them():
    got = measure([["É“naïve”—ΔΈΛΤΑ…日本語 x١٢"]], [["é, naïve; δέλτα / 日本語 X١٢"]], words=5)
    assert (got.heldout, got.shared) == (1, 1)
    assert measure([["a\u00a0b‘c’d"]], [["a b c d"]], words=4).shared == 1


def test_no_ngram_crosses_documents():
    assert measure([["a b", "c d"]], [["a b c d"]], words=3).heldout == 0
    assert measure([["b c d"]], [["a b", "c d"]], words=3).shared == 0
