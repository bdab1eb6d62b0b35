"""What is given to `python -m sweeps`: each wrong thing ends in a message and exit code 2, before work is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.__main__ import main

ROOT = Path(__file__).parents[2]
SWEEP = """
name: tiny
corpus: {source: package, name: pydoc}
model: {vocab: 300, sequence: 32, layers: 1, heads: 1}
optimizer: {batch: 4}
sizes: {4k: {d_model: 8, mlp: 32, lr: 1.0e-2}}
budgets: {short: 2}
studies: {law: {sizes: [4k], budgets: [short], sparsities: [0]}}
"""


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep file, in a folder where the command is said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "tiny.yaml").write_text(SWEEP)
    return tmp_path / "tiny.yaml"


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that is refused."""
    try:
        code = main(words)
    except SystemExit as ended:  # argparse's
        code = int(str(ended.code))
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), (words, out, err)
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("verb", ["expand", "plan", "run"])
def test_what_is_no_sweep_file_is_named(verb: str, sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    kept = tmp_path / "results"
    kept.mkdir()
    (kept / "sweep.json").write_text("{}")
    (tmp_path / "table.csv").write_text("N,D\n1,2\n")
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "bytes.yaml").write_bytes(bytes(range(256)))
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for place, said in {
        "none.yaml": "no such file", "results": "a results folder", ".": "a folder", "table.csv": "not a sweep file",
        "empty.yaml": "not a mapping", "bytes.yaml": "not valid YAML", "tiny.yaml/x": "folder", "loop.yaml": "links",
        "results/sweep.json": "missing key", "x" * 300: "too long", "$NOT_SET_ANYWHERE/x.yaml": "NOT_SET_ANYWHERE",
    }.items():  # fmt: skip
        assert said in refused([verb, place], capsys), place


def test_a_sweep_file_is_found_in_a_home_folder(sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("HOME", str(sweep.parent))
    for place in ("~/tiny.yaml", "$HOME/tiny.yaml", "${HOME}/tiny.yaml"):
        assert main(["expand", place]) == 0
        assert "4k-short-s00-seed0" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "tiny.yaml", "--cluster", "gpus=8,type=h100", "--price-per-gpu-hour", "-1"],
        ["plan", "tiny.yaml", "--cluster", "gpus=8,type=h100", "--price-per-gpu-hour", "nan"],
        ["plan", "tiny.yaml", "--cluster", "gpus=-8,type=h100"],
        ["plan", "tiny.yaml", "--cluster", "gpus=nan,type=h100"],
        ["plan", "tiny.yaml", "--cluster", "gpus=1e300,type=h100"],
        ["plan", "tiny.yaml", "--cluster", "gpus=8,type=h100,per_node=0"],
        ["plan", "tiny.yaml", "--cluster", "gpus=8,type=h100,memory=inf"],
        ["plan", "tiny.yaml", "--cluster", "gpus=8,type=h100,speed=9"],
        ["plan", "tiny.yaml", "--cluster", "8 h100"],
        ["plan", "tiny.yaml", "--cluster", ""],
        ["plan", "tiny.yaml", "--cluster", "gpus=8,type=h100", "--measured", "none.json"],
        ["plan", "tiny.yaml", "--cluster", "gpus=8,type=h100", "--measured", "."],
        ["plan", "tiny.yaml", "--price-per-gpu-hour", "2"],
        ["run", "tiny.yaml", "--lanes", "0"],
        ["run", "tiny.yaml", "--lanes", "-1"],
        ["run", "tiny.yaml", "--lanes", "nan"],
        ["run", "tiny.yaml", "--lanes", "1e12"],
        ["run", "tiny.yaml", "--lanes", "1.5"],
        ["status", "results", "--price-per-hour", "nan"],
        ["status", "results", "--price-per-hour", "-1"],
        ["status", "none"],
        ["status", "tiny.yaml"],
        ["status", "https://example.com/results"],
        ["run", "tiny.yaml", "--no-such-option"],
        ["no-such-verb"],
        [],
    ],
)
def test_options_out_of_their_bounds_are_refused(words: list[str], sweep: Path, capsys: pytest.CaptureFixture[str]):
    refused(words, capsys)


def test_a_place_that_cannot_be_written_is_said_before_any_work(sweep: Path, capsys: pytest.CaptureFixture[str]):
    (sweep.parent / "file").write_text("")
    for words, said in (
        (["--results", "file"], "a file where a folder is expected"),
        (["--results", "file/deeper"], "a file where a folder is expected"),
        (["--results", "/proc/none"], "can't be written"),
        (["--results", ""], "an empty path"),
        (["--results", "$NOT_SET_ANYWHERE/x"], "NOT_SET_ANYWHERE"),
        (["--results", "https://example.com/x"], "address"),
        (["--results", "s3:/bucket/x"], "one slash"),
        (["--results", "results", "--corpus", "file"], "a file where a folder is expected"),
        (["--results", "results", "--corpus", "/proc/none"], "can't be written"),
        (["--results", "results", "--corpus", ""], "an empty path"),
        (["--results", "results", "--corpus", "ftp://host/x"], "address"),
        (["--results", "results", "--corpus", "~nobody-of-this-name/x"], "home"),
    ):
        assert said in refused(["run", "tiny.yaml", *words], capsys), words
    assert sorted(place.name for place in sweep.parent.iterdir()) == ["file", "tiny.yaml"]


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8265", "127.0.0.1:1", "head", "ray://127.0.0.1:1", "no-such-host.invalid:6379"]
)
def test_a_cluster_that_does_not_answer_is_said_before_the_corpus_is_built(
    address: str, sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert "RAY_ADDRESS" in refused(["run", "tiny.yaml"], capsys)
    assert not (sweep.parent / "data").exists()


def test_storage_in_a_home_folder_is_that_home_folders(sweep: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("HOME", str(sweep.parent / "home"))
    monkeypatch.setenv("SCRATCH", str(sweep.parent / "scratch"))
    for results in ("~/kept", "$HOME/kept", "${HOME}/kept"):
        sweep.write_text(SWEEP + f'storage: {{results: "{results}", corpus: $SCRATCH/data}}\n')
        assert main(["run", str(sweep), "--dry-run"]) == 0
        assert f"-> {sweep.parent}/home/kept/tiny" in capsys.readouterr().out
    assert main(["run", str(sweep), "--dry-run", "--results", "$SCRATCH"]) == 0
    assert f"-> {sweep.parent}/scratch/tiny" in capsys.readouterr().out
