"""Each rule on simulated sweeps in which its claim is true, and in which it is false by the margin that it states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from analysis.claims import AFTER_PRUNING, judge, judged, judged_after_pruning
from analysis.claims.post_training import baseline, conditions, history, law, life, rate, size, tokens, trends
from analysis.claims.post_training.by_method import ByMethod, Shown
from analysis.findings.evidence import Evidence
from analysis.findings.post_training import Recovery
from analysis.laws.law import Array
from analysis.tables import data
from analysis.tables.data import Runs, Tables
from analysis.worlds import simulated_post_training as simulated
from analysis.worlds.world import RecoveryWorld
from repro.store.folder import Folder

METHODS = ("depth-taylor",)
RESAMPLES = 100
# Where size enters by one exponent alone, all fits to two sizes say the same of a third.
IDENTIFIED = {"depth-taylor": (1.5, 1e-9, 200.0, -1.2, 0.1, 0.3, 0.35)}
# Truths in which P2's own claim can be confirmed: its seven parameters are identified by three sizes.
CLEAR = {"depth-taylor": (1.0, 100.0, 200.0, -1.2, 0.1, 0.4, 0.35)}


def drawn(
    truth: Callable[[RecoveryWorld], Array] = RecoveryWorld.losses, theta: Mapping[str, tuple[float, ...]] = CLEAR
) -> Evidence:
    tables = simulated.simulate(truth, theta=theta, methods=METHODS, level=0.0015, point=0.0005)
    return of(tables, theta)


def of(tables: Tables, theta: Mapping[str, tuple[float, ...]] = CLEAR) -> Evidence:
    """Its fits start at the truth, which spares a grid of starts."""
    start = {name: np.array(own) for name, own in theta.items()}
    return Evidence(tables, RESAMPLES, given_curves=replace(Recovery.of(tables, RESAMPLES), start=start))


@cache
def true() -> Evidence:
    """A sweep in which P2 is exactly true, of which the claims share the fits."""
    return drawn()


@pytest.mark.parametrize("claim", [law, tokens, rate, trends, baseline, history], ids=lambda claim: claim.CLAIM)
def test_a_true_claim_is_reproduced_and_one_false_by_its_margin_is_not(claim: ModuleType) -> None:
    assert claim.rule(true())[0] == "reproduced", claim.rule(true())
    assert claim.rule(drawn(claim.false_world))[0] != "reproduced"


def farther(claim: ModuleType, times: float) -> Callable[[RecoveryWorld], Array]:
    """The world in which a claim is false, by so many times its margin."""
    return lambda world: claim.true_world(world) + times * (claim.false_world(world) - claim.true_world(world))


@pytest.mark.parametrize("claim", [tokens, rate, history], ids=lambda claim: claim.CLAIM)
def test_a_claim_that_is_false_by_far_is_not_reproduced(claim: ModuleType) -> None:
    assert claim.rule(drawn(farther(claim, 4.0)))[0] == "not reproduced"


def test_the_sizes_after_pruning_as_the_truth_are_told_from_p2() -> None:
    outcome, because = law.rule(drawn(law.false_world))
    assert outcome == "not reproduced"
    assert "the sizes after pruning" in because or "its error" in because


def test_an_unpruned_model_that_goes_on_to_gain_is_a_better_base() -> None:
    found = baseline.judge(drawn(farther(baseline, 2.0)))
    assert found.verdict in ("not reproduced", "inconclusive")
    assert found.measured is not None
    assert found.measured > baseline.MARGIN


def test_a_third_size_is_only_as_good_as_all_fits_that_agree() -> None:
    """Where two sizes identify the third it is confirmed; else the whole set is shown, and nothing is claimed of it."""
    assert size.rule(drawn(theta=IDENTIFIED))[0] == "reproduced"
    wide = size.judge(true())
    assert wide.verdict == "inconclusive"
    assert "the equally good fits alone" in wide.because
    assert len(wide.details[1].rows) > 5
    assert size.rule(drawn(size.false_world, theta=IDENTIFIED))[0] != "reproduced"
    assert size.rule(drawn(farther(size, 4.0), theta=IDENTIFIED))[0] == "not reproduced"


def test_the_whole_life_law_is_confirmed_where_it_is_true_and_refuted_where_a_pruned_model_is_worth_less() -> None:
    found = life.judge(drawn(life.true_world))
    assert found.verdict == "reproduced"
    assert life.rule(drawn(life.false_world))[0] != "reproduced"
    refuted, because = life.rule(drawn(lambda world: world.over_the_life(0.7)))
    assert refuted == "not reproduced"
    assert "worth its average" in because


HOLDS, AGAINST, OPEN = Shown(), Shown(("it is refuted",)), Shown((), ("it is open",))


@pytest.mark.parametrize(
    ("depth", "width", "outcome", "because"),
    [
        (HOLDS, HOLDS, "reproduced", "in each method it holds"),
        (OPEN, AGAINST, "not reproduced", "width-taylor: it is refuted"),
        (OPEN, HOLDS, "inconclusive", "depth-taylor: it is open"),
        (AGAINST, "nothing is known", "inconclusive", "width-taylor: nothing is known"),
    ],
    ids=["all hold", "one is refuted", "one is open", "one tells nothing"],
)
def test_methods_add_up_to_one_outcome(depth: Shown, width: Shown | str, outcome: str, because: str) -> None:
    said = {"depth-taylor": depth, "width-taylor": width}
    claim = ByMethod(
        "p", "", "", "", "", lambda _, own: said[own.points["method"][0]], lambda _: "it holds"
    )  # fmt: skip
    assert claim.outcome(of_two_methods()) == (outcome, because)


@cache
def of_two_methods() -> Evidence:
    methods = ("depth-taylor", "width-taylor")
    theta = dict.fromkeys(methods, CLEAR["depth-taylor"])
    return of(simulated.simulate(RecoveryWorld.losses, theta=theta, methods=methods), theta)


# ---------------------------------------------------------------- what stands against any verdict


def test_curves_below_their_parents_are_no_test_of_p2() -> None:
    outcome, because = law.rule(drawn(lambda world: world.points["L0"] - 0.01))
    assert outcome == "inconclusive"
    assert "under the loss of the parent" in because


def test_parents_that_werent_done_are_no_base() -> None:
    def unfinished(world: RecoveryWorld) -> Array:
        return world.shifted(world.points["role"] == "control", -0.5)

    outcome, because = rate.rule(drawn(unfinished))
    assert outcome == "inconclusive"
    assert "the parents were still improving" in because


def test_a_criterion_no_better_than_random_tells_nothing() -> None:
    def lucky(world: RecoveryWorld) -> Array:
        return world.shifted(world.points["role"] == "random", -0.5)

    outcome, because = trends.rule(drawn(lucky))
    assert outcome == "inconclusive"
    assert "random-depth" in because


def test_the_best_learning_rate_at_the_end_of_its_row_tells_nothing() -> None:
    def better(world: RecoveryWorld) -> Array:
        return world.shifted(world.points["lr"] > 0.01, -0.2)

    outcome, because = history.rule(drawn(better))
    assert outcome == "inconclusive"
    assert "the last in its row: 36k-seed0-depth-taylor-23-lr3" in because


@pytest.mark.parametrize(
    ("claim", "keep", "said"),
    [
        (trends, lambda r: r["seed"] == 0, "seeds per size"),
        (rate, lambda r: r["surgery_rate"] is None or not r["surgery_rate"] > 0.24, "span 1"),
        (size, lambda r: r["size"] != "12k", "curves of 2 sizes"),
        (baseline, lambda r: r["surgery_rate"] != 0, "no unpruned model"),
        (history, lambda r: "-at" not in r["run_id"], "parent's age"),
        (life, lambda r: r["size"] == "36k", "can't be fitted to the dense runs"),
        (life, lambda r: r["seed"] == 0, "seeds' noise of curves isn't known"),
    ],
    ids=lambda value: getattr(value, "CLAIM", ""),
)
def test_what_is_missing_is_said(claim: ModuleType, keep: Callable[[dict], bool], said: str) -> None:
    outcome, because = claim.rule(of(only(simulated.simulate(methods=METHODS, theta=CLEAR), keep)))
    assert outcome == "inconclusive"
    assert said in because


def only(tables: Tables, keep: Callable[[dict], bool]) -> Tables:
    chosen = np.array([bool(keep(row)) for row in tables.runs.rows()], dtype=bool)
    runs: Runs = tables.runs.where(chosen)
    return replace(tables, runs=runs, all_runs=runs)


def test_a_sweep_of_parents_and_pruned_models_is_judged_on_these_claims_alone() -> None:
    assert judged(true().tables) == ()
    assert [verdict.claim for verdict in judge(true())] == [claim.CLAIM for claim in AFTER_PRUNING]


def test_other_sweeps_are_not_judged_on_them(results: Path) -> None:
    tables = data.load(Folder.open(results))
    assert judged_after_pruning(tables) == ()
    assert judged(tables)


def test_random_controls_are_held_against_curves_of_equal_size_and_realised_rate() -> None:
    rows = list(conditions.random_rows(true().post_training.points))
    assert [(row["method"], row["random control"], row["cells"]) for row in rows] == [
        ("depth-taylor", "random-depth", 1)
    ]
    assert rows[0]["worse"] > 0
