import numpy as np
import pytest

from repro.corpus.shards import ShardWriter, TokenRows
from repro.errors import UserError

ROWS = np.arange(23 * 5, dtype=np.uint16).reshape(23, 5)


@pytest.fixture
def written(tmp_path):
    writer = ShardWriter(tmp_path, "train", 5, ROWS.dtype, shard_rows=10)
    filled = [writer.add(rows) for rows in (ROWS[:4], ROWS[4:4], ROWS[4:19], ROWS[19:])]
    assert filled == [False, False, True, True]
    return tmp_path, writer.close()


def test_shards_hold_at_most_the_stated_rows_and_together_all_of_them(written):
    folder, shards = written
    assert [(shard.file, shard.rows) for shard in shards] == [
        ("train-00000.arrow", 10),
        ("train-00001.arrow", 10),
        ("train-00002.arrow", 3),
    ]
    assert sorted(path.name for path in folder.iterdir()) == [shard.file for shard in shards]
    rows = TokenRows(folder, shards, 5)
    assert len(rows) == 23
    np.testing.assert_array_equal(np.concatenate(rows.views), ROWS)


def test_a_view_is_the_mapped_file_and_not_a_copy(written):
    for view in TokenRows(*written, 5).views:
        assert not view.flags.owndata
        assert not view.flags.writeable
        assert view.dtype == np.uint16


def test_rows_are_taken_in_the_order_asked_for_across_shards(written):
    indices = np.array([22, 0, 9, 10, 19, 20, 0])
    np.testing.assert_array_equal(TokenRows(*written, 5).take(indices), ROWS[indices])


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_truncated_shard_is_refused_with_both_sizes(written, size):
    folder, shards = written
    path = folder / shards[1].file
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError) as error:
        TokenRows(folder, shards, 5)
    assert str(path) in str(error.value)
    assert f"{path.stat().st_size} bytes" in error.value.found
    assert error.value.expected == f"{shards[1].bytes} bytes"


def test_a_missing_shard_is_refused(written):
    folder, shards = written
    (folder / shards[0].file).unlink()
    with pytest.raises(UserError, match="no such file"):
        TokenRows(folder, shards, 5)


def test_an_altered_shard_of_the_same_size_is_found_by_verify(written):
    folder, shards = written
    TokenRows(folder, shards, 5).verify()
    path = folder / shards[2].file
    data = bytearray(path.read_bytes())
    at = data.index(ROWS[21].tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"{shards[2].file}[\\s\\S]*sha256[\\s\\S]*{shards[2].sha256}"):
        TokenRows(folder, shards, 5).verify()


def test_a_file_that_is_no_arrow_file_or_has_other_rows_is_refused(written):
    folder, shards = written
    with pytest.raises(UserError, match="10 rows of 7 tokens"):
        TokenRows(folder, shards, 7)
    path = folder / shards[0].file
    path.write_bytes(bytes(shards[0].bytes))
    with pytest.raises(UserError, match="10 rows of 5 tokens"):
        TokenRows(folder, shards[:1], 5)
