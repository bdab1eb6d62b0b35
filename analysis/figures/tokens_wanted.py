"""What would my model need? Tokens until a pruned model is so close to its parent, by size, rate and method."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import NATS, Curve, Meaning, Panel, Points
from analysis.figures.recovery import rate_labels
from analysis.findings.evidence import Evidence
from analysis.findings.post_training import MethodCurves
from analysis.fits.curve_fits import JudgedCurves
from analysis.laws.law import Array
from analysis.laws.registry import P2
from analysis.tables.data import has_post_training

NAME = "tokens_wanted"
TITLE = "How many tokens a wanted recovery takes"
applies = has_post_training
NOTHING = "P2 couldn't be fitted to any method's curves"
CAPTION = (
    "Tokens until a pruned model is within so many nats of the loss it had before, against its size: lines are P2 fitted to the method's curves, between sizes at rates between those that were run, solid up to the tokens that were trained and "
    "dashed beyond, where the law is extrapolated; a line that ends comes no closer, however long it trains. Marks are where a measured curve crosses. "
    "`python -m analysis predict FIT.json within=NATS N0=… rho=…` says it for any model, with an interval."
)
COLUMNS = 3
FINE = 60
BEYOND = 100.0  # times the trained tokens, up to which the law is drawn
MEANS = {
    "method": Meaning("", "how the model was pruned"),
    "N0": Meaning("parameters", "all parameters before pruning"),
    "within": Meaning(NATS, "how far over its loss before pruning the model may be"),
    "measured": Meaning(
        "tokens", "tokens since pruning at which the measured curve gets there; unknown where it does not"
    ),
    "predicted": Meaning("tokens", "the same by the P² law; unknown where it never gets there"),
    "beyond what was trained": Meaning("", "whether predicted is more than any run was trained on"),
}


def wanted(own: MethodCurves) -> float:
    """Nats over L0 that are asked for: what half of the curves reach, to one digit."""
    last = own.points.last
    middle = float(np.median(last["loss"] - last["L0"]))
    return float(f"{max(middle, 1e-3):.0e}")


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a curve: tokens at which it is measured to cross, and those that the law says."""
    found = []
    for method, own in evidence.post_training.methods.items():
        within, points, judged = wanted(own), own.points, own.in_sample[P2.name]
        for curve in points.curves.values():
            size, rho = float(points["N0"][curve[0]]), float(points["rho"][curve[0]])
            said = (
                float(P2.tokens_until(judged.fit.theta, within, rho, size))
                if isinstance(judged, JudgedCurves)
                else None
            )
            found.append({
                "method": method, "run_id": points["run_id"][curve[0]], "N0": size, "rho": rho, "within": within,
                "measured": crossing(points["D"][curve], (points["loss"] - points["L0"])[curve], within),
                "predicted": said if said is not None and np.isfinite(said) else None,
                "beyond what was trained": said is not None and said > float(points["D"].max()),
            })  # fmt: skip
    return found


def crossing(tokens: Array, over: Array, within: float) -> float | None:
    """Tokens at which a curve first is `within` nats of L0, linear in log D between its points; None where it isn't on the way."""
    reached = np.flatnonzero(over <= within)
    if not len(reached) or reached[0] == 0:
        return None
    last, first = int(reached[0]) - 1, int(reached[0])
    share = (over[last] - within) / (over[last] - over[first])
    return float(np.exp(np.log(tokens[last]) + share * np.log(tokens[first] / tokens[last])))


def panels(evidence: Evidence) -> list[Panel]:
    """One panel a method."""
    found = rows(evidence)
    labels = rate_labels(evidence.post_training.points.of("pruned"))
    return [
        _panel(method, own, judged, [row for row in found if row["method"] == method], labels)
        for method, own in evidence.post_training.methods.items()
        if isinstance(judged := own.in_sample[P2.name], JudgedCurves)
    ]


def _rate_at(sizes: Array, known: Array, rho: Array) -> Array:
    """Realised rates (n,) at sizes between those at which a rate was run, linear in logarithms."""
    own = np.unique(known)
    rates = np.array([np.log(rho[known == size]).mean() for size in own])
    return np.asarray(np.exp(np.interp(np.log(sizes), np.log(own), rates)))


def _panel(
    method: str, own: MethodCurves, judged: JudgedCurves, found: list[dict[str, Any]], labels: dict[int, str]
) -> Panel:
    within, points, last = wanted(own), own.points, float(own.points["D"].max())
    sizes = np.geomspace(points["N0"].min(), points["N0"].max(), FINE)
    drawn, curves = [], []
    for rank in np.unique(points["rank"]):
        look = style.of_rank("rate", int(rank), labels[int(rank)])
        beyond = style.of_rank("rate", int(rank), f"{labels[int(rank)]}, extrapolated", "partner")
        of_rate = points["rank"] == rank
        rho = _rate_at(sizes, points["N0"][of_rate], points["rho"][of_rate])
        tokens = P2.tokens_until(judged.fit.theta, within, rho, sizes)
        for own_look, chosen in ((look, tokens <= last), (beyond, (tokens > last) & (tokens <= BEYOND * last))):
            if chosen.any():
                curves.append(
                    Curve(own_look, sizes[chosen], tokens[chosen], f"P2 at ρ {rho.min():.0%} to {rho.max():.0%}")
                )
        ids = set(points["run_id"][of_rate])
        crossed = [row for row in found if row["run_id"] in ids and row["measured"]]
        if crossed:
            x, y = (np.array([float(row[name]) for row in crossed]) for name in ("N0", "measured"))
            drawn.append(Points(look, x, y, [row["run_id"] for row in crossed]))
    return Panel(
        f"{method}\nwithin {within:g} nats", "parameters before", "tokens", tuple(drawn), tuple(curves),
        log_x=True, log_y=True, counts=True, counts_y=True,
    )  # fmt: skip
