"""Losses of runs of one average and one number of tokens whose N(t) falls, rises, stays and moves, beside dense runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import Curve, Meaning, Panel, Points
from analysis.findings.arrow import SHARE, Arrow
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure
from analysis.findings.matched import matched
from analysis.laws.law import Array
from analysis.shown import plain
from analysis.tables.data import Runs, has_mirror
from analysis.tables.mirrored import KINDS, SAID, MirroredSet

NAME = "direction"
TITLE = "Does it matter when parameters are there?"
applies = has_mirror
NOTHING = "no mirrored set has a member"
CAPTION = (
    "Held-out loss at the end of runs of equal N_avg, tokens and compute, a panel a set; each mark is a run, and grey lines join the falling and the rising "
    "run of a seed. Hollow: dense runs of that size on as many tokens, of a width of their own or of the set's. Dashed: what the law in N_avg, fitted to all dense runs alone, says; the grey "
    "band is what it says of ten percent more and less. If the average is all that counts, every mark lies there."
)
MEANS = {
    "cell": Meaning("", "mirrored set: runs of equal N_avg, tokens and compute"),
    "kind": Meaning("", "how N(t) goes, or dense"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per run."""
    return [
        {
            "cell": own.name, "kind": kind, "run_id": run["run_id"], "seed": run["seed"], "N_avg": run["N_avg"],
            "N_final": run["N_final"], "D": run["D"], "loss": run["loss"],
        }
        for own in evidence.arrow.sets
        for kind, _, runs in _named(own)
        for run in runs.rows()
    ]  # fmt: skip


def panels(evidence: Evidence) -> list[Panel]:
    """One panel a set."""
    return [_panel(evidence.arrow, own) for own in evidence.arrow.sets]


def ends(measures: Sequence[Measure]) -> tuple[Array | None, Array | None]:
    """Ends of intervals, (n,) each; None where one of them has none."""
    known = [measure.interval for measure in measures]
    if not known or any(own is None for own in known):
        return None, None
    low, high = np.array(known, dtype=float).T
    return low, high


def _named(own: MirroredSet) -> Iterator[tuple[str, style.Look, Runs]]:
    """What is at the same N_avg, in the order of the axis."""
    yield from ((SAID[kind], style.of_way(SAID[kind]), own.members[kind]) for kind in KINDS if kind in own.members)
    beside = (("dense", own.partner), ("dense, as wide", own.equal_width))
    yield from ((name, style.BESIDE, runs) for name, runs in beside if len(runs))


def _panel(arrow: Arrow, own: MirroredSet) -> Panel:
    named = list(_named(own))
    points = tuple(
        Points(at, np.full(len(runs), float(i)), runs["loss"], list(runs["run_id"]))
        for i, (_, at, runs) in enumerate(named)
    )
    curves: tuple[Curve, ...] = ()
    bands: tuple[tuple[float, float], ...] = ()
    if not isinstance(arrow.law, str):
        sizes = own.n_avg * np.array([SHARE, 1.0, 1 / SHARE])
        low, middle, high = arrow.law.predict({"N_avg": sizes, "D": np.full(3, own.d)}).tolist()
        said = style.Look("the law of dense runs", style.INK, "", filled=False)
        curves = (Curve(said, np.array([-0.5, len(named) - 0.5]), np.full(2, middle), said.label),)
        bands = ((low, high),)
    return Panel(
        f"{own.name}, N_avg {plain(round(own.n_avg))}", "", "held-out loss, nats/token", points, curves,
        guides=tuple(_joined(own)), bands=bands, ticks=tuple(name for name, *_ in named),
    )  # fmt: skip


def _joined(own: MirroredSet) -> Iterator[tuple[Array, Array]]:
    """A line from the falling to the rising run of each seed, the first two on the axis."""
    if {"falling", "rising"} <= own.members.keys() and (both := matched(own.members["falling"], own.members["rising"])):
        for pair in zip(both.one["loss"], both.other["loss"], strict=True):
            yield np.array([0.0, 1.0]), np.array(pair)
