"""`python -m bench` lists every benchmark, and imports none."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bench.__main__ import benchmarks

BENCH = Path(__file__).parents[2] / "bench"


def test_every_benchmark_is_listed_with_a_sentence() -> None:
    listed = dict(benchmarks())
    assert {f"{name}.py" for name in listed} == {
        file.name for file in BENCH.glob("*.py") if "__main__" in file.read_text() and file.name != "__main__.py"
    }
    assert [name for name, line in listed.items() if not re.fullmatch(r"[A-Z].*[.`]", line)] == []


def test_the_list_needs_no_package() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", str(BENCH / "__main__.py")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "  roof       " in done.stdout
    said = subprocess.run([sys.executable, "-m", "bench"], cwd=BENCH.parent, capture_output=True, text=True, check=True)
    assert said.stdout == done.stdout
