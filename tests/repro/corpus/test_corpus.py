import numpy as np
import pytest

from repro.corpus import describe
from repro.corpus.order import rows_at
from repro.errors import UserError


def test_unique_tokens_are_what_the_training_rows_predict(pydoc_corpus):
    assert pydoc_corpus.unique_tokens == pydoc_corpus.manifest.train.rows * 32 == len(pydoc_corpus.train) * 32


@pytest.mark.parametrize(("batch", "workers"), [(8, 1), (8, 2), (8, 4), (12, 3)])
def test_the_workers_shares_of_a_batch_are_the_batch(pydoc_corpus, batch, workers):
    for step in (0, 5, 10_000):
        whole = pydoc_corpus.batch(step, batch, seed=1)
        share = batch // workers
        parts = [pydoc_corpus.batch(step, batch, 1, first=rank * share, count=share) for rank in range(workers)]
        assert whole.shape == (batch, 33)
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_batch_holds_the_rows_that_the_order_names(pydoc_corpus):
    rows = np.concatenate(pydoc_corpus.train.views)
    assert len(pydoc_corpus.train.views) > 1
    np.testing.assert_array_equal(pydoc_corpus.batch(7, 16, seed=2), rows[rows_at(7, 16, len(rows), 2)])
    np.testing.assert_array_equal(pydoc_corpus.batch(2, 4, 2, position=104), pydoc_corpus.batch(7, 16, 2)[:4])


def test_held_out_blocks_are_distinct_rows_spread_over_the_whole_split(pydoc_corpus):
    blocks = pydoc_corpus.heldout_blocks(10, 4)
    rows = np.concatenate(pydoc_corpus.heldout.views)
    assert blocks.shape == (10, 4, 33)
    at = [int(np.flatnonzero((rows == row).all(axis=1))[0]) for row in blocks.reshape(40, 33)]
    assert at == sorted(set(at))
    assert at[0] < len(rows) / 20
    assert at[-1] > len(rows) * 0.9
    np.testing.assert_array_equal(blocks, pydoc_corpus.heldout_blocks(10, 4))


def test_more_held_out_blocks_than_there_is_text_are_refused(pydoc_corpus):
    with pytest.raises(UserError, match=rf"evaluation.blocks[\s\S]*at most {len(pydoc_corpus.heldout)} sequences"):
        pydoc_corpus.heldout_blocks(1000, 1000)


def test_a_run_that_needs_more_text_than_there_is_must_say_so(pydoc_corpus):
    pydoc_corpus.check(pydoc_corpus.unique_tokens, repeat=False, run_id="fits")
    pydoc_corpus.check(pydoc_corpus.unique_tokens + 1, repeat=True, run_id="says so")
    with pytest.raises(UserError, match="repeat: true"):
        pydoc_corpus.check(pydoc_corpus.unique_tokens + 1, repeat=False, run_id="too long")


def test_targets_are_cut_as_the_corpus_was_packed(pydoc_corpus):
    rows = pydoc_corpus.batch(0, 4, seed=0)
    np.testing.assert_array_equal(pydoc_corpus.targets(rows).labels, rows[:, 1:])


def test_a_description_states_counts_overlap_and_samples(pydoc_corpus):
    page = describe(pydoc_corpus)
    assert f"{pydoc_corpus.unique_tokens:,} training tokens" in page
    assert "held-out 13-grams" in page
    assert "<bos>" in page
