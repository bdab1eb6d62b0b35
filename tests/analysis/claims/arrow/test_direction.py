"""Claims (i) and (iii) on sets drawn from a known truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analysis import claims
from analysis.claims import Verdict
from analysis.claims.arrow import direction, direction_at_own_rates, sparse_start
from analysis.findings.evidence import Evidence
from analysis.worlds.simulated_programme import in_tables
from tests.analysis import mirrored_worlds
from tests.analysis.mirrored_worlds import ArrowTruth

Rows = list[dict[str, Any]]


def rows(**truth: Any) -> Rows:
    return [*mirrored_worlds.simulate(ArrowTruth(**truth), growth=False)]


def judged_from(found: Rows) -> Evidence:
    return Evidence(in_tables(found), resamples=100, start=np.array(mirrored_worlds.THETA))


def test_where_the_average_is_the_truth_both_directions_end_equal() -> None:
    found = direction.judge(judged_from(rows()))
    assert found.verdict == "reproduced"
    assert found.interval is not None
    assert found.interval[0] < 0 < found.interval[1]
    [cells] = [d.rows for d in found.details if d.title.startswith("L(rising) − L(falling), nats")]
    assert [(row["cell"], row["seeds"]) for row in cells] == [
        (f"25k {budget} at {share}", 3) for budget in ("20t", "40t") for share in ("40%", "80%")
    ]
    assert all(0.03 < row["margin"] < 0.06 for row in cells)


def test_where_late_weights_count_more_they_dont_and_the_sign_says_so() -> None:
    found = direction.judge(judged_from(rows(kappa=1.0)))
    assert found.verdict == "not reproduced"
    assert found.interval is not None
    assert found.interval[1] < 0
    [cells] = [d.rows for d in found.details if d.title.startswith("L(rising) − L(falling), nats")]
    assert all(row["its low"] > 1.1 for row in cells)


def test_one_cell_outside_is_enough() -> None:
    found = rows()
    for row in found:
        if row["mirror"] and row["family"] == "25k-40t-mirror80":
            row["loss"] -= 0.08
    verdict = direction.judge(judged_from(found))
    assert verdict.verdict == "not reproduced"
    assert "25k 40t at 80%" in verdict.because
    assert "20t" not in verdict.because


def test_noise_that_hides_ten_percent_is_inconclusive() -> None:
    assert direction.judge(judged_from(rows(sigma=0.05))).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("keep", "because"),
    [
        (lambda r: r["seed"] == 0, "no configuration was run with several seeds"),
        (lambda r: not r["mirror"], "no mirrored set has a rising and a falling run"),
        (lambda r: r["shape"] != "dense", "no slope of the dense loss"),
    ],
)
def test_what_is_missing_is_said(keep: Callable[[dict[str, Any]], bool], because: str) -> None:
    found = direction.judge(judged_from([r for r in rows() if keep(r)]))
    assert found.verdict == "inconclusive"
    assert because in found.because


def test_controls_stand_beside_and_have_no_part_in_the_verdict() -> None:
    found = rows()
    for row in found:
        if row["fill"] == "draw" or (row["lr_schedule"] == "cosine" and row["mirror"]):
            row["loss"] += 1.0
    verdict = direction.judge(judged_from(found))
    assert verdict.verdict == "reproduced"
    beside = {row["control"]: row["difference"] for d in verdict.details for row in d.rows if "control" in row}
    assert len(beside) == 12
    assert {name for name, nats in beside.items() if nats > 0.5} == {"rising, fill draw", "rising, lr_schedule cosine"}
    over = {row["with"]: row["difference"] for d in verdict.details for row in d.rows if "with" in row}
    assert over["lr_schedule cosine"] > 0.5
    assert abs(over["lr × 2"]) < 0.05


def at_rates(rising: dict[float, float]) -> Rows:
    """Runs of which rising ones end so many nats higher at each rate."""
    found = rows(rates=0.0)
    for row in found:
        row["loss"] += rising[round(row["lr"], 6)] if row["mirror"] else 0.02 * (round(row["lr"], 6) != 0.01)
    return found


def test_each_kind_takes_its_own_best_rate() -> None:
    finer = [row | {"lr": 0.04, "recipe": row["recipe"] + "4"} for row in rows() if row["mirror"] and row["lr"] == 0.02]
    found = at_rates({0.005: 0.3, 0.01: 0.1, 0.02: -0.1}) + [row | {"loss": row["loss"] + 0.1} for row in finer]
    at_one, at_own = (claim.judge(judged_from(found)) for claim in (direction, direction_at_own_rates))
    assert at_one.measured == pytest.approx(0.1, abs=0.01)
    assert at_own.measured == pytest.approx(-0.1, abs=0.01)
    assert at_own.verdict == "not reproduced"
    assert at_own.interval is not None


@pytest.mark.parametrize(
    ("rising", "outcome"),
    [
        ({0.005: 0.3, 0.01: 0.1, 0.02: -0.1}, "inconclusive"),
        ({0.005: -0.1, 0.01: 0.0, 0.02: 0.1}, "inconclusive"),
        ({0.005: 0.1, 0.01: 0.0, 0.02: 0.1}, "reproduced"),
    ],
)
def test_a_best_rate_at_an_edge_is_not_known(rising: dict[float, float], outcome: str) -> None:
    found = direction_at_own_rates.judge(judged_from(at_rates(rising)))
    assert found.verdict == outcome
    assert (found.interval is None) == (outcome == "inconclusive")
    if outcome == "inconclusive":
        assert "best rate at an edge" in found.because
        assert "rising at 25k 20t at 80%" in found.because
        assert "falling" not in found.because


def test_a_cell_whose_best_rates_are_known_can_refute_beside_one_at_an_edge() -> None:
    further = [row for row in rows(rates=0.0) if row["family"] == "25k-20t-mirror80" and row["lr"] != 0.01]
    found = at_rates({0.005: -0.1, 0.01: 0.0, 0.02: 0.1})
    for row in further:
        [member] = [
            r for r in found
            if r["run_id"] == f"25k-40t-mirror80-{'rising' if row['mirror'] else row['shape'].replace('geometric', 'falling').replace('constant', 'static')}-seed{row['seed']}"
        ]  # fmt: skip
        name = f"{member['recipe']}-{row['lr']}"
        found.append(
            member | {"lr": row["lr"], "recipe": name, "run_id": f"{name}-{row['seed']}", "loss": member["loss"] + 0.03}
        )
    for row in found:
        if row["family"] == "25k-40t-mirror80" and row["mirror"]:
            row["loss"] -= 0.2
    judged = direction_at_own_rates.judge(judged_from(found))
    assert judged.verdict == "not reproduced"
    assert "25k 40t at 80%" in judged.because
    assert judged.interval is None


def test_two_rates_are_too_few() -> None:
    found = direction_at_own_rates.judge(judged_from([r for r in rows() if r["lr"] <= 0.01]))
    assert found.verdict == "inconclusive"
    assert "tried at 3 learning rates" in found.because


@pytest.mark.parametrize(("nats", "verdict"), [(0.0, "reproduced"), (0.03, "not reproduced"), (0.01, "inconclusive")])
def test_what_a_sparse_beginning_costs_over_the_dense_run(nats: float, verdict: str) -> None:
    found = rows(sigma=0.001)
    full = {(r["D"], r["seed"]): r["loss"] for r in found if r["shape"] == "dense" and r["size"] == "25k"}
    for row in found:
        if row["shape"] == "static_dense":
            row["loss"] = full[row["D"], row["seed"]] + nats + 1e-4 * row["seed"]
    judged = sparse_start.judge(judged_from(found))
    assert judged.verdict == verdict
    assert judged.measured == pytest.approx(nats, abs=1e-3)
    [cells] = [d.rows for d in judged.details]
    assert not any("can't come out" in note for note in judged.notes)
    assert all(row["what N_avg says"] == pytest.approx(0.11, abs=0.02) for row in cells if "40%" in row["cell"])


def test_seeds_too_few_for_the_margin_of_a_sparse_beginning_say_so() -> None:
    found = rows(sigma=0.001)
    full = {(r["D"], r["seed"]): r["loss"] for r in found if r["shape"] == "dense" and r["size"] == "25k"}
    for row in found:
        if row["shape"] == "static_dense":
            row["loss"] = full[row["D"], row["seed"]] + 0.02 * (row["seed"] - 1)
    judged = sparse_start.judge(judged_from(found))
    assert judged.verdict == "inconclusive"
    assert any("can't come out reproduced" in note for note in judged.notes)


def test_a_control_keeps_its_name_where_its_member_lost_a_seed() -> None:
    found = [r for r in rows() if not (r["run_id"].endswith("-rising-seed0") and r["family"] == "25k-20t-mirror80")]
    beside = [row for d in direction.judge(judged_from(found)).details for row in d.rows if "control" in row]
    assert {row["control"]: row["seeds"] for row in beside}["rising, fill draw"] == 2


def test_claims_whose_runs_a_sweep_lacks_are_not_on_its_page() -> None:
    def named(found: Rows) -> set[str]:
        return {claim.CLAIM for claim in claims.in_any_direction(in_tables(found))}

    assert named(rows()) - named([r for r in rows() if r["lr"] <= 0.01]) == {"i, own rates"}
    assert named(rows()) - named([r for r in rows() if r["shape"] != "static_dense"]) == {"iii"}


def test_a_sweep_of_sets_and_dense_runs_is_judged_on_their_claims_alone() -> None:
    tables = in_tables(rows())
    assert claims.of_the_paper(tables) == ()
    assert {c.CLAIM for c in claims.in_any_direction(tables)} >= {"i", "i, own rates", "iii"}
    verdicts: tuple[Verdict, ...] = claims.judge(Evidence(tables, resamples=100))
    assert {v.claim for v in verdicts} == {c.CLAIM for c in claims.in_any_direction(tables)}


def test_a_sweep_of_the_paper_has_none_of_them(evidence: Evidence) -> None:
    assert claims.in_any_direction(evidence.tables) == ()
