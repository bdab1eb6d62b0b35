"""What bench/first_hour.md says: its files are the lock's, and its commands work."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "bench" / "first_hour.md").read_text()
CHECKOUT = int(re.findall(r"^\| checkout.tar.gz \| about ([\d,]+) \|", PAGE, re.MULTILINE)[0].replace(",", ""))
PINNED = re.compile(r"^([\w-]+)==([\w.]+)", re.MULTILINE)


def blocks(heading: str) -> str:
    """The commands below a heading."""
    [section] = [text for text in PAGE.split("\n## ") if text.startswith(heading)]
    return "".join(re.findall(r"```bash\n(.*?)```", section, re.DOTALL))


def test_what_is_brought_is_what_the_lock_has_and_the_table_names() -> None:
    locked = dict(PINNED.findall((ROOT / "requirements.lock").read_text()))
    bare = dict(PINNED.findall((ROOT / "bench" / "bare.txt").read_text()))
    assert {name: locked[name] for name in bare} == bare
    assert f"deepspeed=={locked['deepspeed']}" in PAGE
    wheels = re.findall(r"^\| ([a-z_]+)-([\d.]+)-\S+\.whl \| ([\d,]+) \|", PAGE, re.MULTILINE)
    named = {name.replace("_", "-"): version for name, version, _ in wheels}
    assert named == bare | {"deepspeed": locked["deepspeed"], "pyarrow": "21.0.0"}
    size = CHECKOUT + sum(int(size.replace(",", "")) for _, _, size in wheels)
    assert f"{size / 1e6:.1f} MB ({size / 2**20:.1f} MiB) with pyarrow" in PAGE
    assert size < 64 * 2**20


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_its_commands_work_from_the_archive_to_the_tables(tmp_path: Path) -> None:
    """All but downloads and what takes minutes, of which `--plan` and `make -n` say whether they would begin."""
    here, there = tmp_path / "here", tmp_path / "there"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(here)], check=True)
    (here / "bring").mkdir()
    run(blocks("What to bring"), here)
    assert (here / "bring" / "checkout.tar.gz").stat().st_size < 1.1 * CHECKOUT
    there.mkdir()
    shutil.move(here / "bring", there / "bring")
    run(blocks("Unpack it"), there)
    (results := there / "results" / "first-hour").mkdir(parents=True)
    (results / "measured.json").write_text(json.dumps({"tokens_per_second": {"h100": {"1m": 6.6e6}}}))
    said = run(blocks("Run it"), there)
    assert said.count("part 3, at most") == 4
    assert "speed: results/first-hour/measured.json: 1 of" in said
    run(blocks("What to send back"), there)
    assert (there / "first-hour.tar.gz").stat().st_size
    (tables := there / "results" / "gpu").mkdir()
    for name in ("runs.parquet", "sweep.json"):
        (tables / name).write_text("")
    assert "sweeps run sweeps/gpu.yaml --measured results/first-hour/measured.json" in run(blocks("Runs of"), there)
    assert (there / "bench" / "tables" / "gpu" / "runs.parquet").exists()


def run(commands: str, folder: Path) -> str:
    """What the commands print; those that the docstring above names are left out or changed."""
    lines = []
    for line in commands.splitlines():
        if "-m pip" in line or "-m analysis" in line:
            continue
        line = line.replace("make ", "make -n ")
        if "bench.first_hour" in line and "--plan" not in line:
            line += " --plan"
        lines.append(line.replace("python3", shlex.quote(sys.executable)))
    script = "\n".join(["set -eu", *lines])
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
