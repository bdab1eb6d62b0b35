"""The lock of a folder that its holder removes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from repro.corpus import build_dir


def test_a_lock_is_held_by_one_at_a_time_although_each_removes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_dir, "POLL", 0)
    own = tmp_path / "own"
    inside: list[int] = []

    def hold_and_remove(number: int) -> None:
        for _ in range(200):
            with build_dir.exclusive(own, lambda: None):
                inside.append(number)
                assert inside == [number]
                inside.clear()
                build_dir.remove(own)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(hold_and_remove, range(8)))
    assert not own.exists()


def test_a_file_or_a_link_to_nothing_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    for own in (tmp_path / "file", tmp_path / "link", tmp_path / "link" / "below"):
        with pytest.raises((FileExistsError, FileNotFoundError)), build_dir.exclusive(own, lambda: None):
            pass
