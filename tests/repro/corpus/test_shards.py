import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from repro.corpus import checks
from repro.corpus.manifest import ShardFile
from repro.corpus.shards import ShardWriter, TokenRows
from repro.errors import UserError

ROWS = np.arange(23 * 5, dtype=np.uint16).reshape(23, 5)


def opened(written: tuple[Path, tuple[ShardFile, ...]]) -> TokenRows:
    folder, shards = written
    return TokenRows(folder, shards, 5)


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
    for view in opened(written).views:
        assert not view.flags.owndata
        assert not view.flags.writeable
        assert view.dtype == np.uint16


def test_rows_are_taken_in_the_order_asked_for_across_shards(written):
    indices = np.array([22, 0, 9, 10, 19, 20, 0])
    np.testing.assert_array_equal(opened(written).take(indices), ROWS[indices])


@pytest.mark.parametrize("size", [0, 100, -1])
def test_a_truncated_shard_is_refused_with_both_sizes(written, size):
    folder, shards = written
    path = folder / shards[1].file
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError) as error:
        TokenRows(folder, shards, 5)
    assert str(path) in str(error.value)
    assert f"{path.stat().st_size} bytes" in str(error.value.found)
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


@pytest.fixture
def small_groups(monkeypatch):
    """Hashes of every three rows."""
    monkeypatch.setattr(checks, "GROUP_BYTES", 3 * 5 * 2)


def test_rows_have_hashes_by_groups(small_groups, tmp_path):
    writer = ShardWriter(tmp_path, "train", 5, ROWS.dtype, shard_rows=10)
    writer.add(ROWS)
    shards = writer.close()
    assert [(shard.group_rows, len(shard.groups)) for shard in shards] == [(3, 4), (3, 4), (3, 1)]
    assert shards[0].groups[3] == hashlib.sha256(ROWS[9:10].tobytes()).hexdigest()[:32]


def change(folder, shard, row, keep_times=False):
    """Changes one token of a shard in place."""
    path = folder / shard.file
    before, data = path.stat(), bytearray(path.read_bytes())
    at = data.index(ROWS[row].tobytes())
    with path.open("r+b") as file:
        file.seek(at + 4)
        file.write(bytes([data[at + 4] ^ 128]))
    if keep_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(params=["by groups", "by shards"])
def kept(request, small_groups, tmp_path):
    """A folder, and what newer or older manifests say of its shards."""
    writer = ShardWriter(tmp_path, "train", 5, ROWS.dtype, shard_rows=10)
    writer.add(ROWS)
    shards = writer.close()
    if request.param == "by shards":
        shards = tuple(dataclasses.replace(shard, group_rows=None, groups=()) for shard in shards)
    return tmp_path, shards


def test_damage_from_before_is_noticed_when_a_row_beside_it_is_first_read(kept):
    folder, shards = kept
    change(folder, shards[1], 12)
    rows = TokenRows(folder, shards, 5)
    np.testing.assert_array_equal(rows.take(np.arange(10)), ROWS[:10])
    with pytest.raises(UserError, match=f"{shards[1].file}[\\s\\S]*sha256"):
        rows.take(np.array([11]))


@pytest.mark.parametrize("keep_times", [False, True])
def test_damage_between_two_readings_of_a_row_is_noticed(kept, keep_times):
    folder, shards = kept
    rows = TokenRows(folder, shards, 5)
    rows.take(np.arange(23))
    change(folder, shards[1], 12, keep_times)
    np.testing.assert_array_equal(rows.take(np.array([11, 13])), ROWS[[11, 13]])
    with pytest.raises(UserError, match=f"{shards[1].file}[\\s\\S]*row 2 has changed"):
        rows.take(np.array([0, 12]))


@pytest.mark.parametrize("keep_times", [False, True])
def test_damage_to_what_was_read_is_noticed_by_the_last_look(kept, keep_times):
    folder, shards = kept
    rows = TokenRows(folder, shards, 5)
    rows.take(np.array([12]))
    rows.recheck()
    (folder / shards[1].file).touch()
    rows.recheck()
    change(folder, shards[1], 11, keep_times)
    with pytest.raises(UserError, match=shards[1].file):
        rows.recheck()


def test_a_later_run_of_the_process_notices_damage_though_it_knows_the_shard(kept):
    folder, shards = kept
    TokenRows(folder, shards, 5).take(np.arange(23))
    change(folder, shards[2], 21, keep_times=True)
    with pytest.raises(UserError, match=shards[2].file):
        TokenRows(folder, shards, 5).take(np.array([21]))


def test_a_shard_that_is_cut_while_it_is_mapped_ends_in_an_error_and_not_the_process(kept):
    folder, shards = kept
    rows = TokenRows(folder, shards, 5)
    os.truncate(folder / shards[0].file, 100)
    with pytest.raises(UserError, match="100 bytes"):
        rows.take(np.array([3]))


def test_all_rows_are_held_against_the_hash_that_names_the_corpus(kept):
    rows = opened(kept)
    rows.verify(hashlib.sha256(ROWS.tobytes()).hexdigest())
    with pytest.raises(UserError, match="of all rows"):
        rows.verify(hashlib.sha256(ROWS[::-1].tobytes()).hexdigest())


def test_sums_of_rows_see_every_change_of_one_token():
    rows = np.random.default_rng(1).integers(0, 2**16, (50, 33), dtype=np.uint16)
    sums = checks.row_sums(rows)
    assert len(set(sums.tolist())) == 50
    for bit in range(16):
        changed = rows.copy()
        changed[np.arange(50), np.arange(50) % 33] ^= np.uint16(1 << bit)
        assert (checks.row_sums(changed) != sums).all()
    assert (checks.row_sums(rows[:, ::-1]) != sums).all()  # nor does it take their order for nothing
