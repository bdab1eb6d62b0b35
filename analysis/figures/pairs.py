"""Figure 1: sparse runs beside dense runs of the same average count and tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.data import Runs, Tables
from analysis.evidence import Evidence
from analysis.figures import style
from analysis.laws import Array
from analysis.pairs import Pair, PairResult

NAME = "fig1_pairs"
TITLE = "Sparse runs and dense runs of the same average count"
CAPTION = (
    "Held-out loss at the end (left; bars are 95% intervals of the seeds' noise, simultaneous over pairs, laid on the sparse run) "
    "and training loss on the way (right; the largest budget, first seed, running mean). A sparse run and its dense partner (hollow, "
    "dashed) have the same N_avg, tokens, batch and data order. The dense run of full size spends the same effective compute on fewer "
    "tokens."
)


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a pair."""
    found = []
    for result in _drawn(evidence):
        pair, full = result.pair, _full_dense(evidence.tables, result.pair)
        found.append(
            {
                "size": pair.sparse["size"][0],
                "budget": pair.sparse["budget"][0],
                "sparsity": pair.sparsity,
                "seeds": pair.seeds,
                "N_avg": pair.n_avg,
                "N_partner": pair.n_partner,
                "D": pair.sparse["D"][0],
                "loss_sparse": pair.sparse["loss"].mean(),
                "loss_partner": pair.partner["loss"].mean(),
                "difference": result.difference.value,
                "difference_low": result.difference.low,
                "difference_high": result.difference.high,
                "N_full": full["N_prunable"].mean() if len(full) else None,
                "loss_full_dense": full["loss"].mean() if len(full) else None,
            }
        )
    return found


def draw(evidence: Evidence) -> Figure:
    drawn = _drawn(evidence)
    if not drawn:
        return style.nothing("the sweep holds no sparse run with a dense partner")
    figure = style.figure(3.5)
    ends, ways = figure.subplots(1, 2, width_ratios=(1, 1.15))
    _ends(ends, drawn, evidence.tables)
    _ways(ways, drawn, evidence.tables)
    return figure


def _drawn(evidence: Evidence) -> list[PairResult]:
    return [r for r in evidence.pairs if r.pair.match == "prunable"]


def _full_dense(tables: Tables, pair: Pair) -> Runs:
    """Dense runs of the sparse run's own shape and compute."""
    one = next(pair.sparse.rows())
    equal = ("size", "budget", "N_prunable", "dense_tokens", "batch_tokens")
    return tables.selected(
        lambda r: ~r.sparse & r.serves("law", "pairs", "seeds") & np.logical_and.reduce([r[k] == one[k] for k in equal])
    )


def _ends(axes: Axes, drawn: list[PairResult], tables: Tables) -> None:
    labelled: set[str] = set()

    def point(look: style.Look, x: float, y: float, error: Array | None = None) -> None:
        axes.errorbar(
            [x],
            [y],
            yerr=error,
            linestyle="none",
            capsize=2,
            label=None if look.label in labelled else look.label,
            **look.point,
        )
        labelled.add(look.label)

    for result in drawn:
        pair = result.pair
        sparse, partner = float(pair.sparse["loss"].mean()), float(pair.partner["loss"].mean())
        axes.plot([pair.n_avg, pair.n_partner], [sparse, partner], color=style.FAINT, linewidth=0.7, zorder=0)
        bars = None
        if result.difference.low is not None and result.difference.high is not None:
            bars = np.array(
                [[result.difference.value - result.difference.low], [result.difference.high - result.difference.value]]
            )
        point(style.of_run(pair.sparsity), pair.n_avg, sparse, bars)
        point(style.of_run(pair.sparsity, "partner"), pair.n_partner, partner)
        full = _full_dense(tables, pair)
        if len(full):
            point(style.of_run(0.0), float(full["N_prunable"][0]), float(full["loss"].mean()))
    axes.set(xlabel="average parameters, N_avg", ylabel="held-out loss, nats/token", title="at the end")
    axes.xaxis.set_major_formatter(style.thousands)
    entries = sorted(
        zip(*axes.get_legend_handles_labels(), strict=True), key=lambda entry: entry[1] != style.of_run(0.0).label
    )
    handles, labels = zip(*entries, strict=True)
    axes.legend(handles, labels, fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)


def _ways(axes: Axes, drawn: list[PairResult], tables: Tables) -> None:
    lowest, highest = np.inf, -np.inf
    longest = max(result.pair.sparse["dense_tokens"][0] for result in drawn)
    for pair in (result.pair for result in drawn if result.pair.sparse["dense_tokens"][0] == longest):
        for runs, look in (
            (pair.sparse, style.of_run(pair.sparsity)),
            (pair.partner, style.of_run(pair.sparsity, "partner")),
        ):
            tokens, loss = _smooth(*tables.curve(runs["run_id"][0], "tokens", "loss_train"))
            if not len(loss):
                continue
            axes.plot(tokens / 1e6, loss, **look.line)
            lowest, highest = min(lowest, loss.min()), max(highest, loss[tokens >= 0.15 * tokens.max()].max())
    if np.isfinite(lowest):
        axes.set_ylim(lowest - 0.05 * (highest - lowest), highest)
    axes.set(xlabel="tokens, millions", ylabel="training loss, nats/token", title="on the way")


def _smooth(tokens: Array, loss: Array) -> tuple[Array, Array]:
    """Running mean over 1/25 of the logged steps."""
    known = np.isfinite(loss)
    tokens, loss = tokens[known], loss[known]
    window = max(1, len(loss) // 25)
    kernel = np.ones(window) / window
    return np.convolve(tokens, kernel, "valid") if len(loss) else tokens, np.convolve(loss, kernel, "valid") if len(
        loss
    ) else loss
