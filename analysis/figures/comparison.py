"""The laws side by side: how far off they are in sample and held out, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from analysis.figures import style
from analysis.figures.panel import NATS, Meaning
from analysis.findings.compare import DENSE_TO_SPARSE, IN_SAMPLE, Setting
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import cells

NAME = "laws"
TITLE = "The laws side by side"
CAPTION = (
    "Left: mean |predicted − actual| of each law, by what it was fitted on → judged on, or by what of the law set was held out and judged "
    "on, with 95% intervals from the seeds' noise; the dashed line is the seeds' σ. Right: the mean error by sparsity; over 0 the law "
    "predicts too high a loss. On dense runs all counts are one, so all laws in one count are one fit there, which is then read with each "
    "count; only w comes from the law set, and Frantar's sparse law can't be fitted."
)
MEANS = {
    "law": Meaning("", "name of the law"),
    "setting": Meaning("", "what the law is fitted on and judged on"),
    "sparsity": Meaning("", "final sparsity of the runs judged, or all"),
    "runs": Meaning("", "how many runs are judged"),
    "mean_abs_error": Meaning(NATS, "mean |predicted − actual|"),
    "low": Meaning(NATS, "lower end of its 95% interval"),
    "high": Meaning(NATS, "upper end of it"),
    "mean_error": Meaning(NATS, "mean of predicted − actual"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a law, setting and sparsity ("all" among them)."""
    return list(_rows(evidence))


def _rows(evidence: Evidence) -> Iterator[dict[str, Any]]:
    for setting in evidence.settings.values():
        for errors in setting.errors.values():
            sparsity = np.round(errors.runs["sparsity"], 6)
            groups = {"all": np.ones(len(sparsity), dtype=bool)}
            for name, chosen in (groups | {f"{s:g}": sparsity == s for s in np.unique(sparsity)}).items():
                yield {
                    "law": errors.law,
                    "setting": setting.name,
                    "sparsity": name,
                    "runs": int(chosen.sum()),
                    **cells(errors.mean_abs(chosen), "mean_abs_error"),
                    "mean_error": float(errors.residual[chosen].mean()),
                }


def draw(evidence: Evidence) -> Figure:
    done = [s for s in evidence.settings.values() if s.errors]
    if not done:
        return style.nothing("no law could be fitted")
    figure = style.figure(1.4 + 0.42 * max(5, len(done)))
    grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1))
    sigma = evidence.noise.overall.sd if evidence.noise.overall else None
    _overall(figure.add_subplot(grid[:, 0]), done, sigma)
    shown = [s for s in done if s.name in (IN_SAMPLE, DENSE_TO_SPARSE)]
    for i, setting in enumerate(shown):
        _by_sparsity(figure.add_subplot(grid[i, 1]), setting, sigma)
    return figure


def _overall(axes: Axes, settings: list[Setting], sigma: float | None) -> None:
    labelled: set[str] = set()
    # An interval that reaches 0 has no end on a logarithmic axis: it leaves the picture instead.
    leftmost = 0.3 * min(errors.mean_abs().value for setting in settings for errors in setting.errors.values())
    for i, setting in enumerate(settings):
        for j, errors in enumerate(setting.errors.values()):
            measure, look = errors.mean_abs(), style.of_law(errors.law)
            y = -i + 0.17 * (2 - j)
            if measure.low is not None and measure.high is not None:
                axes.plot([max(measure.low, leftmost), measure.high], [y, y], color=look.colour, linewidth=1)
            label = None if errors.law in labelled else look.label
            axes.plot([measure.value], [y], linestyle="none", label=label, **look.point)
            labelled.add(errors.law)
    if sigma is not None:
        axes.axvline(sigma, color=style.FAINT, linestyle="--", linewidth=0.9)
        axes.text(sigma, 0.52, " seeds' σ", color=style.FAINT, fontsize=7, va="bottom")
    axes.set_yticks([-i for i in range(len(settings))], [s.name.replace(" to ", " →\n") for s in settings])
    axes.set(xscale="log", xlabel="mean |predicted − actual|, nats/token", ylim=(-len(settings) + 0.4, 0.75))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(left=leftmost)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


def _by_sparsity(axes: Axes, setting: Setting, sigma: float | None) -> None:
    axes.axhline(0, color=style.FAINT, linewidth=0.8)
    if sigma is not None:
        axes.axhspan(-sigma, sigma, color=style.FAINT, alpha=0.2, linewidth=0)
    for errors in setting.errors.values():
        sparsity = np.round(errors.runs["sparsity"], 6)
        levels = np.unique(sparsity)
        mean = np.array([errors.residual[sparsity == level].mean() for level in levels])
        axes.plot(100 * levels, mean, **style.of_law(errors.law).point, linestyle="-", linewidth=0.9)
    axes.set_title(setting.name, fontsize=7.5)
    axes.set(xlabel="sparsity, %", ylabel="mean error, nats", xticks=(0, 20, 40, 60, 80))
