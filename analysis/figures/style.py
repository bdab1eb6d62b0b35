"""How runs and laws look. One key of a run drives its label, colour and marker in every figure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure

from analysis.laws.registry import N_AVG, N_DENSE, N_EFFECTIVE, N_FINAL, SPARSE

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


# Okabe and Ito's palette, which readers with any colour blindness can tell apart; cool to warm as sparsity grows.
_BY_SPARSITY = {
    0.0: (INK, "o"),
    0.2: ("#56b4e9", "s"),
    0.4: ("#009e73", "D"),
    0.6: ("#e69f00", "^"),
    0.8: ("#d55e00", "v"),
}
# Sparsities that the paper doesn't have: looks that none of its runs has; those that people use have one each.
_OTHERS = [(colour, marker) for marker in "*hP" for colour in ("#cc79a7", "#0072b2", "#999933")]
_BY_SPARSITY |= dict(zip((0.05, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9, 0.95), _OTHERS, strict=True))
_PALETTE = ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", INK)
_BY_LAW = {
    N_AVG.name: Look("N_avg", "#0072b2", "o"),
    N_FINAL.name: Look("final N", "#d55e00", "s"),
    N_DENSE.name: Look("dense N", INK, "^"),
    N_EFFECTIVE.name: Look("N_final^w · N_dense^(1−w)", "#cc79a7", "D"),
    SPARSE.name: Look("sparse (Frantar)", "#009e73", "v"),
}


def of_run(sparsity: float, role: Role = "run") -> Look:
    """The look of a run of this final sparsity, or of the dense partner of one."""
    colour, marker = _BY_SPARSITY.get(round(sparsity, 6)) or _OTHERS[round(100 * sparsity) % len(_OTHERS)]
    name = "dense" if sparsity == 0 else f"{sparsity:.0%} sparse"
    return Look(name if role == "run" else f"dense partner of {sparsity:.0%}", colour, marker, filled=role == "run")


def of_law(name: str) -> Look:
    return _BY_LAW[name]


def of_kind(tensor: str, position: int) -> Look:
    """The look of a kind of tensor: position in the model's order drives its colour."""
    return Look(tensor, _PALETTE[position % len(_PALETTE)], "", filled=position < len(_PALETTE))


def of_rank(rank: int, label: str, role: Role = "run") -> Look:
    """The look of curves of a rate of pruning, or of a method, by its place among them; hollow for what a law alone says."""
    markers = "osD^vP*"
    return Look(label, _PALETTE[rank % len(_PALETTE)], markers[rank % len(markers)], filled=role == "run")


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
