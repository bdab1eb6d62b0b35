"""What shared prefixes save in the committed sweeps, and what the plan says of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from repro.errors import UserError
from repro.spec import OptimizerSpec
from sweeps import plan, savings
from sweeps.__main__ import main
from sweeps.grid import expand
from sweeps.prefix_plan import grow

SWEEPS = Path(__file__).parents[2] / "sweeps"


def test_the_laptops_sweep_shares_its_grid_and_not_the_papers_cosine() -> None:
    sweep = expand(SWEEPS / "laptop-prefix.yaml")
    forks = grow(run.spec for run in sweep.runs).forks
    assert sweep.share_prefix
    assert len(sweep.runs) == 45
    assert len(forks) == 24
    assert {fork.parent for fork in forks.values()} == {"45k-short-s00-seed0"}
    beside = [spec.run_id for spec in sweep.of("runs")]
    assert beside == [f"45k-short-s{s}-d25-p50-seed0-cosine" for s in (20, 40, 60, 80)]
    assert not set(beside) & set(forks)
    laptop = {run.spec.fingerprint for run in expand(SWEEPS / "laptop.yaml").runs}
    assert {spec.fingerprint for spec in sweep.of("runs")} <= laptop
    [trunk], schedules = sweep.of("dense"), sweep.of("schedules")
    at_once = sum(spec.schedule.start_step for spec in schedules)
    last = max(spec.schedule.start_step for spec in schedules)
    for runs, saved in ((schedules, at_once - last), ([*schedules, trunk], at_once)):
        found = savings.saving(runs)
        assert (found.saved.steps, found.alone.steps) == (saved, sum(run.schedule.total_steps for run in runs))


def test_the_header_of_the_laptops_sweep_says_what_is_saved() -> None:
    file = SWEEPS / "laptop-prefix.yaml"
    sweep = expand(file)
    said = " ".join(line.lstrip("# ") for line in file.read_text().splitlines() if line.startswith("#"))
    schedules, dense = sweep.of("schedules"), sweep.of("dense")
    for runs in (schedules, [*schedules, *dense], [run.spec for run in sweep.runs]):
        found = savings.saving(runs)
        share = found.saved.steps / found.alone.steps
        assert f"{found.saved.steps:,} of {found.alone.steps:,} steps ({share:.1%})" in said
    whole = sum(run.schedule.total_steps for run in schedules) / dense[0].schedule.total_steps
    assert f"9.25 of the {whole:.1f} that the 40 schedules take" in said


def test_the_plan_says_what_is_saved_and_by_which_run(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(SWEEPS / "laptop-prefix.yaml")
    assert main(["plan", file]) == 0
    printed = capsys.readouterr().out
    runs = {run.spec.run_id: run.spec for run in expand(file).runs}
    expected = savings.saving(runs.values())
    assert f"sharing saves {expected.saved.steps:,} of {expected.alone.steps:,} steps (" in printed
    assert "3 runs find none: 45k-short-s80-d25-p50-seed0-cosine and 45k-short-s60-d25-p50-seed0-cosine" in printed
    assert main(["plan", file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    sharing = found["sharing"]
    cluster = ["--cluster", "gpus=8,type=h100"]
    assert main(["plan", file, *cluster, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sharing"] == sharing
    assert main(["plan", file, *cluster]) == 0
    assert "shared prefixes: not in the hours" in capsys.readouterr().out
    pruned = runs["45k-short-s80-d25-p50-seed0"]
    fork = {"parent": "45k-short-s00-seed0", "step": pruned.schedule.start_step}
    assert sharing["forks"][pruned.run_id] == fork
    for key in ("tokens", "effective_flops", "executed_flops"):
        assert sharing["alone"][key] == pytest.approx(found["total"][key])
        assert sharing["saved"][key] == pytest.approx(sum(run[key] for run in sharing["by_run"].values()))
        assert sharing["shared"][key] == pytest.approx(sharing["alone"][key] - sharing["saved"][key])


def test_the_plan_says_that_nothing_can_be_shared_and_a_sweep_that_does_not_ask_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "quick.yaml"
    file.write_text((SWEEPS / "quick.yaml").read_text() + "\nshare_prefix: true\n")
    assert main(["plan", str(file)]) == 0
    assert "share_prefix: nothing can be shared: 14 runs find none" in capsys.readouterr().out
    assert plan.plan(expand(SWEEPS / "quick.yaml")).sharing is None
    file.write_text((SWEEPS / "quick.yaml").read_text() + "\nshare_prefix: maybe\n")
    with pytest.raises(UserError, match="share_prefix"):
        expand(file)


def test_sharing_bears_no_identity(tmp_path: Path) -> None:
    file = tmp_path / "quick.yaml"
    file.write_text((SWEEPS / "quick.yaml").read_text() + "\nshare_prefix: true\n")
    with_it, without = ([r.spec for r in expand(f).runs] for f in (file, SWEEPS / "quick.yaml"))
    assert [spec.fingerprint for spec in with_it] == [spec.fingerprint for spec in without]


def test_a_single_run_may_have_another_schedule_of_learning_rates_than_its_sweep(tmp_path: Path) -> None:
    file = tmp_path / "quick.yaml"
    stable = "optimizer: {batch: 8, lr_schedule: wsd, warmup: 10, decay: 0.3}"
    text = re.sub("optimizer: .*", stable, (SWEEPS / "quick.yaml").read_text())
    file.write_text(text + "\nruns: [{size: 4k, budget: 10tpp, lr_schedule: cosine}, {size: 4k, budget: 20tpp}]\n")
    asked = {spec.run_id: spec for spec in expand(file).of("runs")}
    cosine, usual = (asked.pop(run) for run in ("4k-10tpp-s00-seed0-cosine", "4k-20tpp-s00-seed0"))
    assert not asked
    assert cosine.optimizer == OptimizerSpec(3.6e-2, 8, warmup=10)
    assert usual.optimizer == OptimizerSpec(3.6e-2, 8, warmup=10, lr_schedule="wsd", decay=0.3)
