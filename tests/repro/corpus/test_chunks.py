import pyarrow as pa
import pytest

from repro.corpus.chunks import bytes_of, in_pieces


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["abc", "", "é" * 9, "d", "efgh" * 5, "", "i"]])
@pytest.mark.parametrize("most", [1, 4, 7, 1000])
def test_pieces_are_the_texts_in_their_order_and_none_is_larger_than_it_must_be(texts, most):
    whole = pa.array(["left out", *texts], pa.large_string()).slice(1)
    pieces = in_pieces(whole, most)
    assert [text for piece in pieces for text in piece.to_pylist()] == texts
    assert len(pieces) == 1 or all(len(piece) for piece in pieces)
    for piece in pieces:
        assert len(piece) < 2 or len(bytes_of(piece.slice(0, len(piece) - 1))[0]) < most * 2
