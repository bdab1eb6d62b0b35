"""How runs and laws look. One key of a run drives its label, colour and marker in every figure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from analysis.laws.registry import N_AVG, N_DENSE, N_EFFECTIVE, N_FINAL, SPARSE
from analysis.tables.mirrored import KINDS, SAID

Role = Literal["run", "partner"]

FULL_WIDTH = 5.5  # inches: the text column of a paper at ICLR
INK, FAINT = "#1b1b1b", "#8a8a8a"

SETTINGS: dict[Any, Any] = {
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "text.color": INK,
    "axes.edgecolor": INK,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 180,
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Look:
    """Label, colour and marker ("" for lines alone); `filled` markers are runs of their own, hollow ones dense partners."""

    label: str
    colour: str
    marker: str
    filled: bool = True

    @property
    def point(self) -> dict[str, Any]:
        """Keyword arguments of a marker."""
        face = self.colour if self.filled else "white"
        return {"color": self.colour, "marker": self.marker, "markerfacecolor": face, "markeredgecolor": self.colour}

    @property
    def line(self) -> dict[str, Any]:
        """Keyword arguments of a line."""
        return {"color": self.colour, "linestyle": "-" if self.filled else "--"}


BESIDE = Look("dense, to compare", INK, "o", filled=False)

# Okabe and Ito's palette, which readers with any colour blindness can tell apart; cool to warm as sparsity grows.
_BY_SPARSITY = {0: (INK, "o"), 20: ("#56b4e9", "s"), 40: ("#009e73", "D"), 60: ("#e69f00", "^"), 80: ("#d55e00", "v")}
_ALL_REMOVED = "#7a1f1f"
# Of sparsities that the paper doesn't have: markers that none of its runs has, and colours between those of its own.
_BETWEEN = "*hP"
# What is told apart by something else than sparsity has none of the colours of sparsities; these are as easily seen on black.
_COLOURS = ("#0072b2", "#cc79a7", "#999933", "#aa4499", "#44aa99", "#a6761d", "#7570b3")
_MARKERS = "osD^v*P"
# What is told apart by rank: each begins with another marker, so that no two share both colour and marker.
Key = Literal["law", "N(t)", "rate", "method", "recipe", "row", "best"]
_KEYS: tuple[str, ...] = get_args(Key)
_BY_LAW = {
    N_AVG.name: "N_avg",
    N_FINAL.name: "final N",
    N_DENSE.name: "dense N",
    N_EFFECTIVE.name: "N_final^w · N_dense^(1−w)",
    SPARSE.name: "sparse (Frantar)",
}
_LAWS = list(_BY_LAW)
GROWN = "grown"
_WAYS = (*(SAID[kind] for kind in KINDS), GROWN)


def of_run(sparsity: float, role: Role = "run") -> Look:
    """The look of a run of this final sparsity, in whole percent, or of the dense partner of one."""
    percent = max(1, round(100 * sparsity)) if sparsity else 0
    colour, marker = _BY_SPARSITY.get(percent) or (_between(percent), _BETWEEN[percent % len(_BETWEEN)])
    name = f"{percent}% sparse" if percent else "dense"
    return Look(name if role == "run" else f"dense partner of {percent}%", colour, marker, filled=role == "run")


def _between(percent: int) -> str:
    """The colour at this sparsity on straight lines through those of the paper's."""
    known = {own: to_rgb(colour) for own, (colour, _) in _BY_SPARSITY.items()} | {100: to_rgb(_ALL_REMOVED)}
    parts = zip(*known.values(), strict=True)
    red, green, blue = (float(np.interp(percent, list(known), part)) for part in parts)
    return to_hex((red, green, blue))


def of_law(name: str) -> Look:
    return of_rank("law", _LAWS.index(name), _BY_LAW[name])


def of_tensor(kind: str, position: int) -> Look:
    """The look of a kind of tensor: position in the model's order drives its colour; from the eighth on dashed."""
    return Look(kind, _COLOURS[position % len(_COLOURS)], "", filled=position < len(_COLOURS))


def of_way(said: str, role: Role = "run", label: str = "") -> Look:
    """The look of runs by how their N(t) goes, as `SAID` or GROWN names it; hollow beside it what is only compared."""
    rank = _WAYS.index(said) if said in _WAYS else len(_WAYS)
    return of_rank("N(t)", rank, label or said, role)


def of_size(rank: int, count: int, label: str, role: Role = "run") -> Look:
    """The look of one of `count` sizes or budgets in rising order: dark for the smallest, light for the largest."""
    shade = mpl.colormaps["viridis"](0.92 * rank / max(1, count - 1))
    return Look(label, to_hex(shade), _MARKERS[rank % len(_MARKERS)], filled=role == "run")


def of_rank(key: Key, rank: int, label: str, role: Role = "run") -> Look:
    """The look of a member of `key` by its place among them; hollow for what a law alone says."""
    marker = _MARKERS[(rank + rank // len(_COLOURS) + _KEYS.index(key)) % len(_MARKERS)]
    return Look(label, _COLOURS[rank % len(_COLOURS)], marker, filled=role == "run")


@contextmanager
def applied() -> Iterator[None]:
    """The house's settings, and the library's own again afterwards."""
    with mpl.rc_context(SETTINGS):
        yield


def figure(height: float) -> Figure:
    """An empty figure at the width of a page; `height` in inches."""
    return Figure(figsize=(FULL_WIDTH, height))


def thousands(value: float, _: float) -> str:
    """A count on an axis: 20k, 1.5M, 7B."""
    if value >= 1e9:
        return f"{value / 1e9:g}B"
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"


def nothing(reason: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    empty = figure(0.8)
    empty.text(0.5, 0.5, f"Nothing to draw: {reason}.", ha="center", va="center", color=FAINT)
    return empty
