"""What a command imports before it works: help needs none of the heavy packages, and no verb those of another."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.parsers import ROOMS, room_of

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch",
    "ray",
    "deepspeed",
    "transformers",
    "datasets",
    "tokenizers",
    "matplotlib",
    "bokeh",
    "scipy",
    "pandas",
}
# Runs words one after another in one process, each from a clean slate of our own modules, and says what was imported.
ASK = """
import contextlib, importlib, io, json, sys
command, calls = sys.argv[1], json.loads(sys.argv[2])
main = importlib.import_module(command).main
for words in calls:
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
        main(words)
    assert "usage: " in shown.getvalue(), (words, shown.getvalue())
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def imported(command: str, calls: list[list[str]]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", ASK, command, json.dumps(calls)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.slow
@pytest.mark.parametrize("command", ROOMS)
def test_help_of_a_command_and_of_each_verb_imports_nothing_heavy(command: str) -> None:
    calls = [["--help"], *([verb, "--help"] for verb in room_of(command).verbs)]
    unwanted = HEAVY if command == "cluster" else HEAVY | {"pydantic"}  # its verbs read sweep files
    assert imported(f"{command}.__main__", calls) & unwanted == set()


@pytest.mark.slow
def test_help_of_the_script_imports_no_verb() -> None:
    assert imported("sparse_scaling", [["--help"]]) & (HEAVY | {"numpy", "pyarrow", "pydantic", "yaml"}) == set()


@pytest.mark.parametrize("command", ROOMS)
def test_help_of_a_command_lists_each_verb_with_its_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(f"{command}.__main__").main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for verb, (_, text) in room_of(command).verbs.items():
        assert f"{verb} {text}" in shown


@pytest.mark.parametrize("command", ROOMS)
def test_a_verb_that_isnt_one_is_refused_with_those_that_are(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module(f"{command}.__main__").main(["nosuchverb"])
    said = capsys.readouterr().err
    assert all(verb in said for verb in room_of(command).verbs)


@pytest.mark.slow
def test_the_driver_of_a_sweep_imports_ray_and_neither_torch_nor_what_stands_on_it() -> None:
    work = (
        "import sys; from sweeps import assign_workers, parents, results_folder, run, tuner\n"
        "from repro.training.provenance import provenance; provenance()\n"
        "found = {'torch', 'deepspeed', 'transformers'} & set(sys.modules); print(found or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", work], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if metadata.version("torch").endswith("+cpu"):  # another may know a GPU, whose name is kept with the results
        assert done.stdout == "none\n"


@pytest.mark.slow
def test_fit_and_predict_import_no_plotting_library(tmp_path: Path) -> None:
    rows = [(n, d, 1.5 + 400 / n**0.34 + 400 / d**0.28) for n in (1e6, 1e7, 1e8) for d in (1e8, 1e9, 1e10)]
    (tmp_path / "runs.csv").write_text("N,D,loss\n" + "".join(f"{n},{d},{loss}\n" for n, d, loss in rows))
    work = (
        "import sys, contextlib, io; from analysis.__main__ import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as saved:\n"
        f"    assert main(['fit', {str(tmp_path / 'runs.csv')!r}, '--law', 'chinchilla', '--json']) == 0\n"
        f"open({str(tmp_path / 'FIT.json')!r}, 'w').write(saved.getvalue())\n"
        f"assert main(['predict', {str(tmp_path / 'FIT.json')!r}, 'N=1e7', 'D=1e9']) == 0\n"
        f"found = {(HEAVY - {'scipy'} | {'pydantic'})!r} & set(sys.modules); assert not found, found"
    )
    done = subprocess.run([sys.executable, "-c", work], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
