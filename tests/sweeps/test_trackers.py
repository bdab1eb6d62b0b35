"""A sweep that names trackers: refused where they aren't installed, else shown in them by every lane."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.__main__ import main

ROOT = Path(__file__).parents[2]
SWEEP = """
name: tracked
corpus: {{source: package, name: pydoc, heldout_fraction: 0.1}}
model: {{vocab: 300, sequence: 32, layers: 1, heads: 1}}
optimizer: {{batch: 4}}
sizes: {{4k: {{d_model: 8, mlp: 32, lr: 1.0e-2}}}}
budgets: {{short: 2}}
pruning: {{interval: 4}}
studies: {{law: {{sizes: [4k], budgets: [short], sparsities: [0, 0.4, 0.8]}}}}
evaluation: {{blocks: 4, block_sequences: 2}}
resources: {{device: cpu, trackers: {trackers}}}
storage: {{corpus: {root}/data, results: {root}/results}}
"""


def declare(root: Path, trackers: str) -> Path:
    file = root / "tracked.yaml"
    file.write_text(SWEEP.format(root=root, trackers=trackers))
    return file


def test_an_unknown_tracker_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(declare(tmp_path, "[mlfow]"))]) == 2
    assert "resources.trackers[0]" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_one_that_is_not_installed_is_refused_before_anything_is_built(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if importlib.util.find_spec(name):
        pytest.skip(f"{name} is installed")
    assert main(["run", str(declare(tmp_path, f"[{name}]"))]) == 2
    assert f"pip install {name}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tracked.yaml"]


@pytest.mark.system
def test_every_run_is_shown_and_one_tracker_that_fails_fails_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("WANDB_MODE", "no such mode")
    command = [sys.executable, "-m", "sweeps", "run", str(declare(tmp_path, "[mlflow, wandb]"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wandb was left out of 3 runs" in done.stdout
    assert "mlflow was left out" not in done.stdout
    from mlflow import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("tracked")
    assert experiment is not None
    shown = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    runs = {path.name: path for path in (tmp_path / "results" / "tracked" / "runs").iterdir()}
    assert set(shown) == set(runs)
    for run_id, path in runs.items():
        assert shown[run_id].info.status == "FINISHED"
        total = json.loads((path / "status.json").read_text())["total_steps"]
        assert max(point.step for point in client.get_metric_history(shown[run_id].info.run_id, "loss_eval")) == total
        assert len(list((path / "tensorboard").iterdir())) == 1
