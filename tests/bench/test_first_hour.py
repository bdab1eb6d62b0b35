"""`python -m bench.first_hour`: the five parts small, on a CPU, without Ray and without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.first_hour import _apart, main, summary
from bench.hour.part import Finding, Part
from sweeps.__main__ import main as sweeps_main

ROOT = Path(__file__).parents[2]
# Imported by every Python that has its folder on its path: what bench/first_hour.md brings is all there is of packages, and
# no name resolves but this machine's.
BARE = """
import importlib.machinery, socket, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ray", "matplotlib", "tensorboardX"):
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        raise ModuleNotFoundError(f"No module named {spec.name!r}", name=spec.name)
    def exec_module(self, module):
        pass
sys.meta_path.insert(0, Absent())
known = socket.getaddrinfo
def getaddrinfo(host, *args, **kwargs):
    if host not in (None, "", "localhost", "127.0.0.1", "::1", socket.gethostname()):
        raise socket.gaierror(f"no network: {host}")
    return known(host, *args, **kwargs)
socket.getaddrinfo = getaddrinfo
"""


def environment(bare: Path) -> dict[str, str]:
    (bare / "sitecustomize.py").write_text(BARE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | {"PYTHONPATH": f"{bare}{os.pathsep}{ROOT}"}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    "parts", [[2, 3, 4], pytest.param([1, 2, 3, 4, 5], marks=pytest.mark.full)], ids=["three", "all"]
)
def test_parts_run_small_without_ray_and_without_a_network(parts: list[int], tmp_path: Path) -> None:
    """What the others do is tested elsewhere: engines by stage, and runs that are killed, go on and are exported."""
    env, out = environment(tmp_path), tmp_path / "out"
    blocked = subprocess.run([sys.executable, "-c", "import ray"], env=env, capture_output=True, text=True)
    assert "No module named 'ray'" in blocked.stderr
    words = [sys.executable, "-m", "bench.first_hour", "--cpu", "--seconds", "300", "--out", str(out)]
    words += ["--parts", ",".join(map(str, parts))]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "[4:" in done.stdout  # the time that is left
    for number in parts:
        content = json.loads((out / f"part{number}.json").read_text())
        assert (content["part"], content["small"], content["error"]) == (number, True, None)
        assert content["versions"]["torch"]
        assert content["findings"]
        assert [one["name"] for one in content["findings"] if Finding(**one).flag] == []
    settings = json.loads((out / "part4.json").read_text())["settings"]
    assert len(settings) == 3
    for made in settings.values():
        assert made["trace"]["attention"] == ["flash (CPU)"]
        assert sum(made["trace"]["shares"].values()) == pytest.approx(1)
        assert made["trace"]["waits"] == 0
    table = (out / "summary.md").read_text()
    assert table in done.stdout
    assert "0 of " in table
    plan = [
        "plan",
        str(ROOT / "sweeps" / "quick.yaml"),
        "--cluster",
        "gpus=1,type=cpu",
        "--measured",
        str(out / "measured.json"),
    ]
    assert sweeps_main(plan) == 0


@pytest.mark.slow
def test_a_part_that_fails_keeps_its_error_and_the_next_is_run(tmp_path: Path) -> None:
    """In a folder without sweep files."""
    words = [sys.executable, "-m", "bench.first_hour", "--cpu", "--parts", "3,4", "--out", "out"]
    done = subprocess.run(words, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 1
    errors = {n: json.loads((tmp_path / "out" / f"part{n}.json").read_text())["error"] for n in (3, 4)}
    assert "no such file" in errors[3]
    assert "no such file" in errors[4]
    assert "Part 3 did not come to its end: UserError: no such file" in done.stdout
    assert not (tmp_path / "out" / "part1.json").exists()


def test_a_part_in_a_process_of_its_own_is_killed_when_it_is_late_and_what_it_found_is_kept(tmp_path: Path) -> None:
    Part(1, tmp_path, 60, cpu=False).add(Finding("an earlier finding", 3.0, "ms", most=1.0))
    assert not _apart(1, tmp_path, 0.0)  # before it can write anything itself
    content = json.loads((tmp_path / "part1.json").read_text())
    assert "it was killed after" in content["error"]
    assert "an earlier finding | 3 ms | ≤ 1 | **3.0 times off**" in summary(tmp_path)


def test_a_plan_says_what_and_how_long_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plan", "--parts", "1,5", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "part 1, at most 1.5 min: engines" in said
    assert "part 5, at most 4.0 min" in said
    assert "6 minutes at most" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--parts", "0", "--cpu"], ["no such part", "'0'", "from 1 to 5"]),
        (["--parts", "1,two", "--cpu"], ["no such part", "'two'"]),
        ([], ["needs a GPU", "--cpu"]),
    ],
)
def test_what_cannot_be_run_is_refused(words: list[str], says: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert all(part in error for part in says), error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("finding", "shown", "expected", "flag"),
    [
        (Finding("a", 1.0, "ms", 2, 2.5), "1 ms", "2 to 2.5", "2.0 times off"),
        (Finding("a", 3.7, "ms", 2, 2.5), "3.7 ms", "2 to 2.5", ""),
        (Finding("a", 361_234.5, least=360_000), "361,234", "≥ 360000", ""),
        (Finding("a", 0.001, "nats", most=0), "0.001 nats", "≤ 0", "inf times off"),
        (Finding("a", False), "NO", "yes", "wrong"),
        (Finding("a", None, most=3, why="no kernel"), "not measured: no kernel", "≤ 3", "missing"),
    ],
)
def test_a_finding_is_flagged_when_it_is_far_from_what_was_expected(
    finding: Finding, shown: str, expected: str, flag: str
) -> None:
    assert (finding.shown, finding.expected, finding.flag) == (shown, expected, flag)
