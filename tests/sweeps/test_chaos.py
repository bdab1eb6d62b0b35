"""Random kills over a sweep: of the driver, of a worker, of whoever is in the middle of writing a file."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
import pytest

from tests.sweeps.driving import orphans, until
from tests.sweeps.killing import Killer, ended
from tests.sweeps.tiny import SWEEP, losses, run

pytestmark = pytest.mark.slow


def declare(root: Path, runs: int) -> Path:
    text = SWEEP.format(root=root, ratio=20, workers=1).replace(
        "checkpoint_every: 20", "checkpoint_every: 20, retries: 99"
    )
    study = f"  seeds: {{seeds: {list(range(runs))}, configurations: [{{size: 4k, budget: short, sparsity: 0.8}}]}}\n"
    first, last = text.index("studies:\n") + len("studies:\n"), text.index("resources:")
    root.mkdir(parents=True, exist_ok=True)
    file = root / "tiny.yaml"
    file.write_text(text[:first] + study + text[last:])
    return file


@pytest.mark.full
@pytest.mark.parametrize(
    ("runs", "kills"),
    [pytest.param(3, 2, id="2 kills"), pytest.param(20, 30, id="30 kills")],
)
def test_random_kills_lose_nothing_and_leave_nothing(runs: int, kills: int, tmp_path: Path) -> None:
    finished, root = tmp_path / "finished", tmp_path / "killed"
    code, out = run(declare(finished, runs))
    assert code == 0, out
    shutil.copytree(finished / "data", root / "data")
    killer = Killer(root, declare(root, runs), seed=kills)
    while len(killer.kills) < kills:
        killer.strike()
        assert len(ended(root)) < runs, f"it was over after {len(killer.kills)} kills"
    killer.look()
    if killer.driver.poll() is None:
        killer.driver.kill()
        killer.driver.wait()
    until(lambda: not orphans(killer.mark), 60)
    before = ended(root)

    code, out = run(killer.file)
    assert code == 0, out
    after = ended(root)
    assert {run_id: after[run_id] for run_id in before} == before, "trained again though it was done"
    assert losses(root) == losses(finished)
    left = [p.name for p in root.rglob("*")]
    assert not [n for n in left if ".tmp" in n or n.startswith("lease") or n.startswith("stop-")]
    until(lambda: not [p for p in psutil.process_iter() if str(killer.file) in " ".join(_words(p))], 30)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
