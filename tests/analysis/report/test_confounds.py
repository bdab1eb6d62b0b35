from __future__ import annotations

import pytest

from analysis.findings.evidence import Evidence
from analysis.report import confounds
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow


def details(evidence: Evidence) -> dict[str, tuple[dict, ...]]:
    return {d.title.split(":")[0].split(" over")[0]: d.rows for d in confounds.examine(evidence)}


def test_a_control_stands_beside_the_run_that_it_changes(evidence: Evidence) -> None:
    rows = details(evidence)["Controls"]
    assert [(r["changed"], r["sparsity"]) for r in rows] == [
        ("weight decay 0 instead of 0.1", 0.0),
        ("weight decay 0 instead of 0.1", 0.8),
    ]
    assert all(r["low"] < r["difference"] < r["high"] for r in rows)


def test_what_was_changed_is_said_in_words(swept) -> None:
    rows = simulated_sweep.simulate(Truth())
    base = next(r for r in rows if "controls" in r["studies"] and "law" in r["studies"] and r["sparsity"])
    changes: dict[str, dict[str, object]] = {
        "score random instead of magnitude": {"score": "random"},
        "never pruned lm_head instead of none": {"do_not_prune": ["lm_head"]},
        "static sparsity from step 0": {"shape": "constant", "start": 0.0, "interval": 1},
        "2 events instead of": {"interval": 590, "events": 2},
    }
    for i, change in enumerate(changes.values()):
        rows.append({**base, **change, "run_id": f"control-{i}", "studies": ["controls"]})
    said = [
        r["changed"]
        for r in details(Evidence(swept(rows), resamples=100))["Controls"]
        if r["run"].startswith("control-")
    ]
    assert len(said) == len(changes)
    assert all(any(s.startswith(words) for s in said) for words in changes)


def test_sparse_runs_decay_more_as_they_take_more_steps(evidence: Evidence) -> None:
    for row in details(evidence)["Σ lr·wd"]:
        shares = [row[f"at {s}%"] for s in (20, 40, 60, 80)]
        assert shares == sorted(shares)
        assert 1 < shares[0] < shares[-1] < 5


def test_a_residual_that_decay_doesnt_drive_has_a_slope_around_0(swept) -> None:
    rows = details(Evidence(swept(truth=Truth(sigma=0.002)), resamples=100))[
        "The N_avg law's residual along the log of Σ lr·wd, nats by a doubling"
    ]
    assert all(r["low"] <= 0 <= r["high"] for r in rows if r["setting"] == "in sample")
