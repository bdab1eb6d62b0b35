"""How the best size depends on compute in the rows of a table: what `isoflop` prints and the library returns."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from analysis.fits.envelope import envelope
from analysis.fits.isoflop import TOLERANCE, Frontier, Method, isoflop
from analysis.fits.outcome import enough_resamples, positive_sigma
from analysis.tables import row_flags, table
from analysis.tables.budgets import positive
from analysis.tables.cell_table import CellTable
from analysis.tables.table import Table
from repro.errors import UserError

HOW: Mapping[Method, str] = {
    "parabola": "minima of a parabola in log N for each budget",
    "free": "minima of one shape for all budgets, a parabola and a smooth departure from it as large as the rows ask for",
    "envelope": "where the envelope of the training curves passes from one size to the next",
}


@dataclass(frozen=True)
class Asked:
    """The method and options with which the best size is estimated.

    Attributes:
        tolerance: see `by_budget`; None is the usual one. sigma: of a loss over seeds, nats; None measures it.
        clusters: a column whose equal values are one training curve.
        resamples: of a bootstrap over points, for intervals; 0 takes them from the noise.

    Raises:
        UserError: no such method, or what is out of range or of no use to the method.
    """

    method: Method = "parabola"
    tolerance: float | None = None
    sigma: float | None = None
    clusters: str | None = None
    resamples: int = 0

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise UserError("no such method", key="--method", found=self.method, expected=", ".join(get_args(Method)))
        if self.sigma is not None:
            positive_sigma(self.sigma)
        if self.method == "envelope":
            for key, own, told in (
                ("--tolerance", self.tolerance, "an envelope has no budgets"),
                ("--bootstrap", self.resamples or None, "an envelope's interval is of the scatter of its passages"),
            ):
                if own is not None:
                    raise UserError(told, key=key, found=own, expected="--method parabola or free")
        elif self.clusters:
            raise UserError(
                "clusters are for envelopes only", key="--clusters", found=self.method, expected="--method envelope"
            )
        if self.tolerance is not None and not 0 <= self.tolerance < math.inf:
            raise UserError(
                "tolerance out of range", key="--tolerance", found=self.tolerance, expected="0 or more, and finite"
            )
        if self.resamples:
            enough_resamples(self.resamples)
            if self.sigma is not None:
                raise UserError(
                    "an interval of the noise or of resampled rows", key="--sigma", found="--bootstrap with it",
                    expected="one of the two",
                )  # fmt: skip


@dataclass(frozen=True)
class TableFrontier:
    """The best size against compute, from the rows of a table."""

    rows: Table
    found: Frontier

    @property
    def warnings(self) -> list[str]:
        best = self.found.best
        reasons = Counter(one.left_out for one in best if one.left_out)
        out = sum(one.left_out is not None for one in best)
        what = "passages" if self.found.method == "envelope" else "budgets"
        told = [f"left out: {out} of {len(best)} {what}: {_listed(reasons)}"] if out else []
        return [*self.rows.warnings, *told, *self.found.warnings]

    def as_json(self) -> dict[str, Any]:
        found, line = self.found, self.found.line
        by_line = "scatter" if line.scattered or found.noise is None else "noise"
        return {
            "method": found.method,
            "how": HOW[found.method],
            "a_N": dataclasses.asdict(found.a_N),
            "a_D": dataclasses.asdict(found.a_D),
            "through": {"C": math.exp(line.middle), "N": math.exp(line.level)},
            "sigma": found.noise,
            "sigma_given": found.given,
            "intervals_from": "bootstrap over points" if found.resamples else by_line,
            "resamples": found.resamples,
            "scatter": line.scatter,
            "scatter_beyond_noise": line.scattered,
            "budgets": [dataclasses.asdict(one) for one in found.best],
            "n_rows": len(self.rows),
            "source": self.rows.source,
            **row_flags.as_json(self.rows.flags),
            "warnings": self.warnings,
        }

    def lines(self) -> list[str]:
        found, line = self.found, self.found.line
        lines = [f"{found.method}: {HOW[found.method]}   ({len(self.rows)} rows of {self.rows.source})"]
        for name, what, own in (("a_N", "N_opt", found.a_N), ("a_D", "D_opt", found.a_D)):
            lines.append(f"  {name} {own.value:8.4f}   95% [{own.low:.4f}, {own.high:.4f}]   {what} ∝ C^{name}")
        lines.append(f"  N_opt = {math.exp(line.level):.4g} · (C / {math.exp(line.middle):.4g})^{found.a_N.value:.4f}")
        if found.resamples:
            lines.append(f"  intervals by a bootstrap over points, {found.resamples} resamples")
        if found.noise is not None:
            whose = "given" if found.given else "from what the curves leave over"
            lines.append(f"  σ of a loss {found.noise:.3g} nats, {whose}")
        lines.append(f"  {'C':>10} {'rows':>5} {'N_opt':>10} {'95%':>24} {'D_opt':>10} {'loss':>8}")
        for one in found.best:
            if one.N is None or one.D is None or one.loss is None:
                lines.append(f"  {one.C:>10.3g} {one.rows:>5} left out: {one.left_out}")
                continue
            ends = "" if one.low is None or one.high is None else f"[{one.low:.4g}, {one.high:.4g}]"
            lines.append(f"  {one.C:>10.3g} {one.rows:>5} {one.N:>10.4g} {ends:>24} {one.D:>10.4g} {one.loss:>8.4f}")
        return lines


def lines_of_groups(by: str, found: Mapping[str, TableFrontier]) -> list[str]:
    """A line for each group's exponents."""
    method = next(iter(found.values())).found.method
    wide = max(len(by), *map(len, found))
    what = "passages" if method == "envelope" else "budgets"
    lines = [
        f"{method}: {HOW[method]}   (one answer for each {by}; --json has every budget)",
        f"  {by:<{wide}} {'rows':>6} {what:>8} {'a_N':>8} {'95%':>18} {'a_D':>8} {'95%':>18}",
    ]
    for label, one in found.items():
        used = sum(own.left_out is None for own in one.found.best)
        ends = [f"[{own.low:.4f}, {own.high:.4f}]" for own in (one.found.a_N, one.found.a_D)]
        lines.append(
            f"  {label:<{wide}} {len(one.rows):>6} {used:>8} {one.found.a_N.value:>8.4f} {ends[0]:>18} "
            f"{one.found.a_D.value:>8.4f} {ends[1]:>18}"
        )
    return lines


def read(raw: CellTable, columns: Mapping[str, str], exclude: Sequence[str], clusters: str | None) -> Table:
    """The rows, with their loss as a column; positive in N, the loss, and those of C and D that are used."""
    flops = "C" in columns or "C" in raw.names
    tokens = "D" in columns or (not flops and "D" in raw.names)
    wanted = ["loss", "N", *(["C"] if flops or not tokens else []), *(["D"] if tokens else [])]
    rows = table.read(raw, [], columns=columns, exclude=exclude, clusters=clusters, also=wanted)
    positive(rows, wanted)
    return dataclasses.replace(rows, columns={"loss": rows.loss, **rows.columns})


def frontier(rows: Table, asked: Asked) -> TableFrontier:
    """The best sizes of rows that `read` gave. Raises UserError: see `isoflop` and `envelope`."""
    size, loss = rows["N"], rows["loss"]
    flops = rows["C"] if "C" in rows.columns else 6 * size * rows["D"]
    tokens = rows["D"] if "D" in rows.columns else flops / (6 * size)
    if asked.method == "envelope":
        clusters = rows.clusters if asked.clusters else None
        return TableFrontier(rows, envelope(size, flops, tokens, loss, clusters, sigma=asked.sigma))
    tolerance = TOLERANCE if asked.tolerance is None else asked.tolerance
    found = isoflop(
        size,
        flops,
        tokens,
        loss,
        method=asked.method,
        tolerance=tolerance,
        sigma=asked.sigma,
        resamples=asked.resamples,
    )
    return TableFrontier(rows, found)


def _listed(reasons: Mapping[str, int], most: int = 3) -> str:
    some = [f"{reason} ({count})" for reason, count in list(reasons.items())[:most]]
    return "; ".join(some) + (f"; and {len(reasons) - most} more" if len(reasons) > most else "")
