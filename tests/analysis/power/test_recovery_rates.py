"""Error rates of the rules on training after pruning: drawn around the sweep's own fits, with its own noise of curves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from analysis.claims import AFTER_PRUNING
from analysis.claims.post_training import history, life, trends
from analysis.findings.post_training import Recovery
from analysis.power import recovery_rates
from analysis.tables import data
from analysis.tables.data import Tables
from analysis.worlds import simulated_post_training as simulated
from analysis.worlds.world import RecoveryWorld
from repro.store.folder import Folder

pytestmark = pytest.mark.slow
METHODS = ("depth-taylor",)
EVIDENCE = Path(__file__).parents[3] / "docs" / "evidence" / "p2"


@pytest.fixture(scope="module")
def tables() -> Tables:
    return simulated.simulate(methods=METHODS, level=0.0015, point=0.0005)


def test_rules_know_true_worlds_from_false_ones(tables: Tables) -> None:
    """Of claims without a fit in them, which cost little."""
    post = Recovery.of(tables, 100)
    found = recovery_rates.simulate(tables, post, worlds=8, claims=(trends, history))
    assert not isinstance(found, str)
    assert found[trends.CLAIM].true.reproduced == 8
    assert found[trends.CLAIM].false.reproduced == 0
    assert found[history.CLAIM].false.reproduced <= 1
    assert found[history.CLAIM].true.not_reproduced == 0


@pytest.mark.full
def test_the_law_over_the_whole_life_is_rarely_rejected_where_it_is_true() -> None:
    """In worlds with the curves and the noise of the sweep that is kept as evidence."""
    tables = data.load(Folder.open(EVIDENCE))
    found = recovery_rates.simulate(tables, Recovery.of(tables, 100), worlds=40, claims=(life,))
    assert not isinstance(found, str)
    true, false = found[life.CLAIM].true, found[life.CLAIM].false
    assert true.worlds == 40
    assert true.share(true.not_reproduced) <= 0.05
    assert false.share(false.reproduced) <= 0.05
    assert false.share(false.not_reproduced) >= 0.5


@pytest.mark.parametrize("claim", AFTER_PRUNING, ids=lambda claim: claim.CLAIM)
def test_what_makes_a_claim_true_and_false_are_two_worlds(claim: ModuleType, tables: Tables) -> None:
    world = RecoveryWorld(
        Recovery.of(tables, 100).points,
        {name: np.array(simulated.THETA[name]) for name in METHODS},
        np.array(simulated.DENSE),
    )
    true, false = claim.true_world(world), claim.false_world(world)
    assert true.shape == false.shape == (len(world.points),)
    assert np.isfinite(true).all()
    assert np.isfinite(false).all()
    assert not np.array_equal(true, false)
    assert claim.TRUE != claim.FALSE


def test_without_seeds_there_are_no_rates_and_that_is_said(tables: Tables) -> None:
    post = Recovery.of(tables, 100)
    alone = replace(post, points=post.points.where(post.points["seed"] == 0))
    found = recovery_rates.simulate(tables, alone, worlds=2, claims=(history,))
    assert isinstance(found, str)
    assert "noise of curves isn't known" in found
