"""What is compiled once is found by the next process, in a folder that nobody else can write to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor.runtime.cache_dir_utils import default_cache_dir
from torch.utils._filelock import FileLock

from repro.training import compiling
from tests import workers


def compiled() -> dict[str, int]:
    """How often this process, which compiles a function, found the code and did not."""
    compiling.share()
    torch.compile(lambda x: (2 * x + 1).sin().sum())(torch.ones(7))
    return {key: counters["aot_autograd"][f"autograd_cache_{key}"] for key in ("hit", "miss")}


@pytest.mark.full
def test_the_next_process_finds_what_was_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(compiling.FOLDER, raising=False)
    (tmp_path / "sparse-scaling").mkdir(mode=0o755)
    first, second = workers.run(1, compiled), workers.run(1, compiled)
    assert first == [{"hit": 0, "miss": 1}]
    assert second == [{"hit": 1, "miss": 0}]
    [folder] = (tmp_path / "sparse-scaling").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir())


def test_a_folder_that_the_user_names_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(compiling.FOLDER, str(tmp_path))
    compiling.share()
    assert not (tmp_path / "cache").exists()


def test_the_folder_that_pytorch_names_by_itself_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(compiling.FOLDER, default_cache_dir())
    compiling.share()
    assert os.environ[compiling.FOLDER] == str(tmp_path / "sparse-scaling" / "compiled")


def test_libraries_that_a_killed_linker_left_are_made_again_but_for_those_in_the_making(tmp_path: Path) -> None:
    whole = Path(torch._C.__file__).read_bytes()
    (tmp_path / "ab").mkdir()
    (tmp_path / "locks").mkdir()
    lengths = {
        "empty": 0,
        "header": 64,
        "half": len(whole) // 2,
        "made": 0,
        "whole": len(whole),
    }
    for name, length in lengths.items():
        (tmp_path / "ab" / f"{name}.main.so").write_bytes(whole[:length])
    with FileLock(str(tmp_path / "locks" / "made.lock")):
        compiling.remove_unfinished(tmp_path)
    assert {path.name for path in (tmp_path / "ab").iterdir()} == {"made.main.so", "whole.main.so"}
