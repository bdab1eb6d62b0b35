import numpy as np
import pytest

from repro.corpus.packing import IGNORED, Packer, padding, targets, token_dtype

BOS, EOS = 0, 1
U16 = np.dtype(np.uint16)
PAD = padding(U16)


def documents(lengths, bos=BOS, eos=EOS):
    """One document of each length (BOS and EOS counted), its tokens told apart by value."""
    return [np.array([bos, *range(100 * i + 10, 100 * i + 8 + n), eos]) for i, n in enumerate(lengths)]


def add(packer, docs):
    return packer.add(
        np.concatenate([np.empty(0, U16), *docs]), np.cumsum([len(document) for document in docs], dtype=int)
    )


def packed(docs, packing, sequence):
    packer = Packer(packing, sequence, U16)
    return np.concatenate([add(packer, docs[:2]), add(packer, docs[2:]), packer.rest()])


def test_the_type_leaves_room_for_the_mark_of_padding():
    assert token_dtype(65_534) == np.uint16
    assert token_dtype(65_535) == np.uint32


def test_concatenated_rows_are_the_stream_of_all_documents_with_the_tail_dropped():
    docs = documents([5, 9, 3, 4, 7])
    rows = packed(docs, "concatenate", 5)
    stream = np.concatenate(docs)
    assert rows.shape == (4, 6)
    np.testing.assert_array_equal(rows.flatten(), stream[:24])


def test_whole_documents_are_packed_in_order_cut_at_a_row_and_never_cross():
    docs = documents([3, 4, 12, 5, 2, 8])
    rows = packed(docs, "documents", 7)
    np.testing.assert_array_equal(
        rows,
        [
            [0, 10, 1, 0, 110, 111, 1, PAD],
            [0, *range(210, 217)],
            [0, 310, 311, 312, 1, 0, 1, PAD],
            [0, *range(510, 516), 1],
        ],
    )


@pytest.mark.parametrize("seed", range(5))
def test_packing_keeps_every_document_that_fits_whole_in_one_row(seed):
    docs = documents(np.random.default_rng(seed).integers(2, 20, size=50))
    rows = packed(docs, "documents", 11)
    kept = [token for row in rows for token in row if token != PAD]
    assert kept == [token for document in docs for token in document[:12]]
    for row in rows:
        assert row[0] == BOS
        assert (np.diff((row == PAD).astype(int)) >= 0).all()  # padding stands at the end


@pytest.mark.parametrize("packing", ["concatenate", "documents"])
@pytest.mark.parametrize("at", [0, 1, 7, 30, 50])
def test_a_packer_goes_on_from_what_another_carried(packing, at):
    docs = documents(np.random.default_rng(at).integers(2, 20, size=50))
    first = Packer(packing, 11, U16)
    rows = [add(first, docs[:at])]
    second = Packer(packing, 11, U16, first.carry.tolist())
    rows += [add(second, docs[at:]), second.rest()]
    np.testing.assert_array_equal(np.concatenate(rows), packed(docs, packing, 11))


def test_packed_documents_restart_positions_and_are_asked_only_for_their_own_tokens():
    rows = packed(documents([3, 4, 12, 5, 2, 8]), "documents", 7)
    got = targets(rows, "documents", BOS, EOS)
    x = IGNORED
    np.testing.assert_array_equal(got.inputs[0], [0, 10, 1, 0, 110, 111, 1])
    np.testing.assert_array_equal(got.labels[0], [10, 1, x, 110, 111, 1, x])
    np.testing.assert_array_equal(got.positions[0], [0, 1, 2, 0, 1, 2, 3])
    np.testing.assert_array_equal(got.segments[0], [1, 1, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(got.labels[1], range(210, 217))
    np.testing.assert_array_equal(got.positions[1], range(7))


def test_padding_is_segment_0_and_its_inputs_are_tokens_a_model_has():
    rows = np.array([[BOS, 5, EOS, PAD, PAD, PAD]], U16)
    got = targets(rows, "documents", BOS, EOS)
    np.testing.assert_array_equal(got.inputs, [[0, 5, 1, 0, 0]])
    np.testing.assert_array_equal(got.segments, [[1, 1, 1, 0, 0]])
    np.testing.assert_array_equal(got.labels, [[5, 1, IGNORED, IGNORED, IGNORED]])
    np.testing.assert_array_equal(got.positions, [[0, 1, 2, 0, 0]])


def test_one_id_for_bos_and_eos_gives_the_same_segments_labels_and_positions():
    lengths = [3, 4, 12, 5, 2, 8]
    two = targets(packed(documents(lengths), "documents", 7), "documents", BOS, EOS)
    one = targets(packed(documents(lengths, bos=EOS), "documents", 7), "documents", EOS, EOS)
    np.testing.assert_array_equal(one.segments, two.segments)
    np.testing.assert_array_equal(one.positions, two.positions)
    np.testing.assert_array_equal(one.labels == IGNORED, two.labels == IGNORED)


def test_concatenated_rows_are_asked_for_every_next_token():
    rows = packed(documents([5, 9, 3, 4, 7]), "concatenate", 5)
    got = targets(rows, "concatenate", BOS, EOS)
    np.testing.assert_array_equal(got.inputs, rows[:, :-1])
    np.testing.assert_array_equal(got.labels, rows[:, 1:])
    np.testing.assert_array_equal(got.positions, np.tile(np.arange(5), (4, 1)))
    assert (got.segments == 1).all()


@pytest.mark.parametrize("packing", ["concatenate", "documents"])
def test_targets_have_the_types_a_model_takes(packing):
    got = targets(packed(documents([5, 9, 3]), packing, 5), packing, BOS, EOS)
    assert [array.dtype for array in got] == [np.int64, np.int64, np.int64, np.int32]
