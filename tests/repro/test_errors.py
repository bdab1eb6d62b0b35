"""What ends a command: a message and exit code 2 for what a user gives or an environment lacks, never a traceback."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import socket
import stat
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from repro.console import homes, terminal
from repro.console.guard import guarded
from repro.errors import UserError


def throw(error: Exception) -> None:
    raise error


def raising(act: Callable[[], object]) -> int:
    @guarded
    def main(argv: list[str] | None = None) -> int:
        act()
        return 0

    return main([])


def deep() -> None:
    json.loads("[" * 100_000)


def refused() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    socket.create_connection(("127.0.0.1", port), timeout=1)


def on_disk(tmp_path: Path) -> dict[str, Callable[[], object]]:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    return {
        "no such file": lambda: open(tmp_path / "none"),
        "a folder where a file": lambda: open(tmp_path),
        "a file where a folder": lambda: open(file / "b.txt"),
        "exists already": lambda: tmp_path.mkdir(),
        "too long": lambda: open(tmp_path / ("x" * 300)),
        "a loop of symbolic links": lambda: open(tmp_path / "loop"),
        "text in another encoding": lambda: file.read_text(encoding="utf-8"),
        "nothing listens": refused,
        "nested too deeply": deep,
        "not enough memory": lambda: bytearray(2**60),
        "not valid JSON": lambda: json.loads("{"),
        "compressed file": lambda: zlib.decompress(b"no"),
        "Arrow": lambda: pa.ipc.open_file(pa.py_buffer(b"no")),
        "ends too early": lambda: (_ for _ in ()).throw(EOFError()),
        "unknown host": lambda: (_ for _ in ()).throw(socket.gaierror(-2, "Name or service not known")),
        "read-only file system": lambda: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only file system", "/x")),
        "package": lambda: __import__("no_such_package_at_all"),
    }


@pytest.mark.parametrize("said", range(17))
def test_what_an_environment_lacks_ends_in_a_message(said: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    word, act = list(on_disk(tmp_path).items())[said]
    assert raising(act) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert word in err
    assert "Traceback" not in err


def test_a_full_disk_is_one_and_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]):
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x")

    def stop() -> None:
        raise KeyboardInterrupt

    assert (raising(full), raising(stop)) == (1, 130)
    assert "Traceback" not in capsys.readouterr().err


def test_a_fault_of_this_project_keeps_its_traceback():
    for fault in (KeyError("x"), TypeError("x"), ValueError("x"), ModuleNotFoundError("x", name="repro.none")):
        with pytest.raises(type(fault)):
            raising(partial(throw, fault))


@pytest.mark.parametrize("closed", [("stdout",), ("stderr",), ("stdout", "stderr")], ids="+".join)
@pytest.mark.parametrize(
    ("does", "code", "said"),
    [
        ("print('printed'); print('warned', file=sys.stderr)", 0, b"warned"),
        ("raise UserError('no', found='x')", 2, b"error: no"),
        ("raise KeyboardInterrupt", 130, b"stopped"),
    ],
)
def test_a_reader_that_closes_its_pipe_changes_no_exit_code(does: str, code: int, said: bytes, closed: tuple[str, ...]):
    """As `head` does with what it doesn't want. Python's own code for output that it can't write at its end is 120."""
    program = f"""
import sys
from repro.console.guard import guarded
from repro.errors import UserError
@guarded
def main(argv=None):
    {does}
    return 0
sys.exit(main([]))
"""
    read, write = os.pipe()
    os.close(read)
    out, err = (write if name in closed else subprocess.PIPE for name in ("stdout", "stderr"))
    done = subprocess.run([sys.executable, "-c", program], stdout=out, stderr=err, timeout=60, check=False)
    os.close(write)
    assert done.returncode == code
    if code and err == subprocess.PIPE:
        assert done.stderr.splitlines()[0] == said


def test_a_variable_shows_the_traceback_of_everything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("REPRO_TRACEBACK", "1")
    assert raising(lambda: Path("/no/such/file").read_bytes()) == 2
    assert "Traceback" in capsys.readouterr().err


def test_what_a_file_says_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]):
    def hostile() -> None:
        raise UserError("no", found="\x1b]0;owned\x07\x9b2J\rgone\u202e", expected="a\tb")

    assert raising(hostile) == 2
    err = capsys.readouterr().err
    assert not set(err) & set("\x1b\x07\x9b\r\u202e")
    assert r"\x1b]0;owned\x07\x9b2J\rgone\u202e" in err
    assert "a\tb" in err


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "alpha sigma Delta - ... * <= >= x +/- -> | +-- .:+# e 2 u ? ?"),
        ("latin-1", "alpha sigma Delta - ... · <= >= × ± -> | +-- .:+# é ² µ ? ?"),
        ("cp1252", "alpha sigma Delta - … · <= >= × ± -> | +-- .:+# é ² µ ? ?"),
        ("utf-8", "α σ Δ − … · ≤ ≥ × ± → │ └── ▁▄▆█ é ² µ 中 ?"),
    ],
)
def test_a_terminal_gets_what_it_can_show(encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    assert raising(lambda: print("α σ Δ − … · ≤ ≥ × ± → │ └── ▁▄▆█ é ² µ 中 \udcff", end="")) == 0
    stream.seek(0)
    assert stream.read() == shown


def test_every_character_of_our_output_has_a_likeness_in_ascii():
    root = Path(__file__).parents[2]
    said = {
        character
        for room in ("repro", "sweeps", "analysis", "cluster")
        for file in (root / room).rglob("*.py")
        for character in file.read_text(encoding="utf-8")
    }
    assert len(said - set(map(chr, range(128)))) > 10
    assert [character for character in said if terminal.plain(character) == "?" and character not in "?中\ufffd"] == []


@pytest.mark.parametrize("home", ["", "/", "/no/such/home", "relative"])
def test_without_a_home_caches_lie_in_a_private_temporary_folder(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in homes.CACHES:
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    homes.adapt()
    found = {Path(os.environ[name]).parent for name in homes.CACHES}
    assert found == {tmp_path / f"sparse-scaling-{os.getuid()}"}
    assert homes.cache().parent in found
    assert stat.S_IMODE(found.pop().stat().st_mode) == 0o700


def test_a_temporary_folder_that_another_user_could_have_made_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", "/")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    taken = tmp_path / f"sparse-scaling-{os.getuid()}"
    taken.symlink_to(tmp_path)
    assert taken not in homes.cache().parents
    taken.unlink()
    taken.mkdir(mode=0o777)
    taken.chmod(0o777)
    assert taken not in homes.cache().parents


def test_a_command_in_an_old_locale_without_a_home_answers():
    words = "schedule --sparsity .8 --dense-steps 100 --start .25 --end .75 --interval 5"
    ended = subprocess.run(
        [sys.executable, "-m", "repro", *words.split()],
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"], "HOME": "/", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"total_steps" in ended.stdout
    assert ended.stdout.isascii()


def test_an_error_keeps_its_particulars_from_process_to_process_and_takes_a_place():
    error = UserError("out of range", key="lr", found=Path("x"), expected="more than 0")
    carried = pickle.loads(pickle.dumps(error))
    assert (str(carried), carried.key, carried.found) == (str(error), "lr", "x")
    placed = carried.located("a.yaml", "sizes.4k")
    assert (placed.file, placed.key) == ("a.yaml", "sizes.4k.lr")
    assert placed.located("b.yaml", "other") is placed
    assert UserError("wrong", key="[1].lr").located("a.yaml", "runs").key == "runs[1].lr"
