"""Error rates of the rules on training after pruning, in worlds with this sweep's curves, seeds and noise of curves.

The truth is P2 as it is fitted to each method, and for the law in N_avg the one that dense runs have; each claim's own
module says what makes it true and false. A world draws noise of the curves and of the dense runs, and is judged as the
sweep is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType

import numpy as np

from analysis.claims import AFTER_PRUNING, Outcome
from analysis.claims.verdict import ClaimRates
from analysis.findings.evidence import Evidence
from analysis.findings.post_training import Recovery
from analysis.fits.curve_fits import JudgedCurves
from analysis.laws.law import Array
from analysis.laws.registry import N_AVG, P2
from analysis.noise.curve_noise import CurveNoise
from analysis.noise.spread import Spread
from analysis.power.error_rates import over_worlds, rates_of
from analysis.tables.data import Tables
from analysis.tables.post_training import CurvePoints
from analysis.tables.rows import Rows
from analysis.worlds.world import RecoveryWorld

RESAMPLES = 100  # of a world's bootstrap
MOST_WORLDS = 40  # of each truth: every world fits a law of seven parameters some thousand times

Said = dict[tuple[str, bool], tuple[Outcome, str]]  # by claim, and whether it is true in that world


@dataclass(frozen=True)
class RecoveryDesign:
    """What all worlds share.

    Attributes:
        tables: of the sweep, whose curves aren't read. points, dense: as in Recovery.
        dense_mean: (n,) of the dense law on the dense losses; None where there is none.
        start: parameters of P2 by method. noise: of curves. seeds: of a dense run's loss.
        means: losses (n,) of all points, by claim and whether it is true in that world.
    """

    tables: Tables
    points: CurvePoints
    dense: Rows
    dense_mean: Array | None
    start: Mapping[str, Array]
    noise: CurveNoise
    seeds: Spread | None
    means: Mapping[tuple[str, bool], Array]
    resamples: int


def world_of(post: Recovery) -> RecoveryWorld | str:
    """The world of P2 as it is fitted to the sweep's curves, or why there is none."""
    if not post.methods:
        return "no curve is judged"
    theta = {}
    for name, own in post.methods.items():
        found = own.in_sample[P2.name]
        if not isinstance(found, JudgedCurves):
            return f"P2 can't be fitted to the curves of {name}: {found}"
        theta[name] = found.fit.theta
    dense = post.life.fit
    return RecoveryWorld(post.points, theta, None if dense is None or dense.bounds_hit else dense.theta)


def simulate(
    tables: Tables,
    post: Recovery,
    *,
    worlds: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
    cores: int | None = None,
    claims: tuple[ModuleType, ...] = AFTER_PRUNING,
) -> dict[str, ClaimRates] | str:
    """Error rates by claim, or why no world can be drawn.

    Args:
        worlds: of each truth, MOST_WORLDS at the most. resamples: of the bootstrap in a world.
        cores: processes; see `over_worlds`. claims: those that are judged.
    """
    world, noise = world_of(post), post.measured_noise
    if isinstance(world, str) or isinstance(noise, str):
        return world if isinstance(world, str) else f"the seeds' noise of curves isn't known: {noise}"
    columns = {name: post.dense[name] for name in N_AVG.columns}
    unread = {name: getattr(tables, name).slice(0, 0) for name in ("curves", "layers", "evaluations", "tasks")}
    design = RecoveryDesign(
        tables=replace(tables, **unread),
        points=post.points,
        dense=post.dense,
        dense_mean=None if world.dense is None else N_AVG.predict(world.dense, columns),
        start=world.theta,
        noise=noise,
        seeds=post.seeds,
        means={
            (claim.CLAIM, true): claim.true_world(world) if true else claim.false_world(world)
            for claim in claims
            for true in (True, False)
        },
        resamples=resamples,
    )
    said = list(over_worlds(partial(_judge, design, seed), min(worlds, MOST_WORLDS), cores))
    return {
        claim.CLAIM: rates_of(claim, *([own[claim.CLAIM, true] for own in said] for true in (True, False)))
        for claim in claims
    }


def _judge(design: RecoveryDesign, seed: int, world: int) -> Said:
    rng = np.random.default_rng([seed, world])
    drawn = design.noise.draw(design.points, rng)[0]
    dense = design.dense
    if design.dense_mean is not None:
        loss = design.dense_mean + (0.0 if design.seeds is None else design.seeds.by_run(dense["run_id"], 1, rng)[0])
        dense = replace(dense, columns={**dense.columns, "loss": loss})
    known: dict[bytes, Evidence] = {}
    said: Said = {}
    rules = {claim.CLAIM: claim.rule for claim in AFTER_PRUNING}
    for key, mean in design.means.items():
        held = mean.tobytes()
        if held not in known:
            curves = Recovery(
                design.points.changed(loss=mean + drawn), dense, design.resamples, seed, design.seeds, design.start
            )
            known[held] = Evidence(design.tables, design.resamples, given_curves=curves)
        said[key] = rules[key[0]](known[held])
    return said
