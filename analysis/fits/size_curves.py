"""Rows of a table as curves of the loss over sizes, one for each training budget."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analysis.laws.law import Array

LEAST_SIZES = 3  # of a curve that has a minimum between two others


@dataclass(frozen=True)
class SizeCurve:
    """Runs of one budget.

    Attributes:
        budget: geometric mean of their training FLOP.
        log_size: logarithms of parameters, increasing, (n,). loss: nats per token, (n,). rows: where each stands, (n,).
    """

    budget: float
    log_size: Array
    loss: Array
    rows: np.ndarray

    @property
    def sizes(self) -> int:
        """Number of different sizes."""
        return len(np.unique(np.round(self.log_size, 6)))

    def holds(self, log_size: float) -> bool:
        """Whether a place has sizes on either side."""
        return bool(self.log_size[0] < log_size < self.log_size[-1])

    def drawn(self, rng: np.random.Generator, around: float) -> SizeCurve:
        """As many of its rows drawn with replacement; again, until there are sizes enough, on both sides of a minimum that it holds."""
        while True:
            own = np.sort(rng.integers(len(self.loss), size=len(self.loss)))
            found = replace(self, log_size=self.log_size[own], loss=self.loss[own], rows=self.rows[own])
            if found.sizes >= LEAST_SIZES and found.holds(around):
                return found

    @property
    def obstacle(self) -> str | None:
        """Why these rows show no minimum, by the parabola through them; None where they show one."""
        if self.sizes < LEAST_SIZES:
            return f"{self.sizes} {'size' if self.sizes == 1 else 'sizes'}, and a minimum needs {LEAST_SIZES}"
        bend, slope, _ = np.polyfit(middle := self.log_size - self.log_size.mean(), self.loss, 2)
        if bend <= 0:
            return "the loss has no minimum over its sizes"
        at = -slope / (2 * bend)
        return None if middle[0] < at < middle[-1] else edge(at > middle[-1])


def edge(above: bool) -> str:
    """The note on a minimum at the edge of the sizes."""
    return f"its minimum is at the edge of its sizes: {'larger' if above else 'smaller'} ones may be better"


def by_budget(size: Array, flops: Array, loss: Array, tolerance: float) -> list[SizeCurve]:
    """Curves by budget, in its order.

    A budget's largest FLOP are at most 1 + `tolerance` times its smallest. Where rows run into each other, the range that
    holds most of them is taken first, then the next of those that are left. Every row is in one.

    Args:
        size, flops, loss: (n,), positive.
    """
    left = np.argsort(flops, kind="stable")
    found = []
    while len(left):
        end = np.searchsorted(flops[left], flops[left] * (1 + tolerance), side="right")
        first = int(np.argmax(end - np.arange(len(left))))
        own = left[first : end[first]]
        left = np.delete(left, np.arange(first, end[first]))
        own = own[np.argsort(size[own], kind="stable")]
        found.append(
            SizeCurve(
                budget=float(np.exp(np.log(flops[own]).mean())),
                log_size=np.log(size[own]),
                loss=loss[own],
                rows=own,
            )
        )
    return sorted(found, key=lambda curve: curve.budget)
