"""The next runs by a fit of any table, in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.fits import table_design
from analysis.fits.objective import Objective
from analysis.fits.table_design import MOST_RUNS, RESAMPLES, DesignTask, TableDesign
from analysis.library.answer import Answer, for_python
from analysis.library.reading import AnyLaw, alike, as_table, between, check, law_of, notes_of, rows_of, told
from repro.errors import UserError


class FurtherRuns(Answer[TableDesign]):
    """Which runs to train next. `inner`: the answer itself, with all runs that were chosen from."""

    @property
    def interval(self) -> tuple[float, float]:
        """95% of the prediction as it is, nats per token."""
        return self.inner.prospect.interval

    @property
    def plans(self) -> list[dict[str, Any]]:
        """The best run, the best two, and so on: `runs`, their `price`, and the interval's `width` after them."""
        found: list[dict[str, Any]] = self.as_json()["plans"]
        return found

    @property
    def best(self) -> dict[str, Any]:
        """The plan that leaves the narrowest interval."""
        return self.plans[len(self.inner.best.runs) - 1]


@for_python
def design(
    table: Any,
    law: AnyLaw,
    target: Mapping[str, float | str],
    *,
    budget: float,
    runs: int = 3,
    largest: float | None = None,
    candidates: Any = None,
    price: str | None = None,
    bootstrap: int = RESAMPLES,
    objective: str = "huber_log",
    delta: float | None = None,
    sigma: float | None = None,
    fix: Mapping[str, float] | None = None,
    tie: Mapping[str, str] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> FurtherRuns:
    """Which further runs narrow a prediction most for their price.

    Args:
        table, law, objective, delta, sigma, fix, tie, bounds: as for `fit`.
        target: where the prediction is wanted, by the law's columns.
        budget: of all further runs together: training FLOP, 6 N D, or as in `price`. runs: how many at most.
        largest: parameters of the largest run; None is what the budget pays for.
        candidates: a table of runs to choose among, instead of a grid. price: its column of prices, in any unit.
        bootstrap: resamples behind the interval.

    Raises:
        UserError: everything that the command `design` refuses.
    """
    between("budget", budget, 0)
    between("runs", runs, 0, MOST_RUNS)
    if not isinstance(runs, int):
        raise UserError("not a whole number", key="runs", found=runs, expected=f"1 to {MOST_RUNS}")
    if largest is not None:
        between("largest", largest, 0)
    check(bootstrap, sigma)
    kind, asked = Objective.of(objective, delta), as_table(table)
    alike(asked)
    rows, [found] = rows_of(asked, [told(law_of(law), fix, tie, bounds)], None)
    words = tuple(f"{name}={value}" for name, value in target.items())
    task = DesignTask(words, budget, runs, largest, None if candidates is None else as_table(candidates).raw, price)
    inner = table_design.design_on(found, rows, task, kind, sigma=sigma, resamples=bootstrap)
    return FurtherRuns(inner, notes_of(asked, rows))
