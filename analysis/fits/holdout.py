"""Which rows of a table are held out: those that a user would extrapolate to.

The largest size, the longest budget, the highest sparsity, or each family in turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.laws.law import Array
from analysis.tables import cells, conditions
from analysis.tables.table import Table
from repro.errors import UserError

RULES = ("largest", "lowest", "share", "each")


@dataclass(frozen=True)
class HeldOut:
    """Rows to test on; the law is fitted to the others. `name` says what was held out."""

    name: str
    test: np.ndarray


def split(table: Table, rule: str) -> list[HeldOut]:
    """Splits by a rule: `largest:COLUMN`, `lowest:COLUMN`, `share:0.2:COLUMN` (or `share:20%:COLUMN`), `each:COLUMN`, or a
    condition as `--exclude` takes it, `N>1e9` or `size=1b,3b`.

    `largest` holds out the rows with the column's largest value, `share` the largest fifth, `each` every value (or
    cluster, for `each:clusters`) in turn.

    Raises:
        UserError: no such rule, column or share, or nothing is left on one side.
    """
    kind, _, rest = rule.partition(":")
    if kind == "share":
        text, _, name = rest.partition(":")
        values = _values(table, name, rule)
        edge = np.quantile(values, 1 - _share(text, rule))
        found = [HeldOut(f"{name} >= {edge:.6g}", values >= edge)]
    elif kind in ("largest", "lowest"):
        values = _values(table, rest, rule)
        edge = values.max() if kind == "largest" else values.min()
        found = [HeldOut(f"{rest} = {edge:.6g}", values == edge)]
    elif kind == "each":
        values = (
            np.asarray(table.clusters)
            if rest == "clusters" and table.clusters is not None
            else _values(table, rest, rule)
        )
        found = [HeldOut(f"{rest} = {value}", values == value) for value in np.unique(values)]
    else:
        found = [HeldOut(rule, _meeting(table, rule))]
    for one in found:
        if not one.test.any() or one.test.all():
            raise UserError("no rows are left to fit or to test on", key="holdout", found=f"{rule}: {one.name}")
    return found


def column_of(rule: str | None) -> str | None:
    """The column of numbers that a rule uses; None for a condition, which applies to cells as they are in the file."""
    kind, _, rest = (rule or "").partition(":")
    return rest.rpartition(":")[2] if kind in RULES else None


def _meeting(table: Table, rule: str) -> np.ndarray:
    try:
        condition = conditions.parse(rule)
        assert table.raw is not None
        met, none = conditions.meets(condition, table.raw, table.names)
    except UserError as error:
        ways = "largest:COLUMN, lowest:COLUMN, share:0.2:COLUMN, each:COLUMN, or a condition: "
        unread = error.message == "not a condition"
        raise error.but(
            message="no such way to hold out" if unread else error.message, key="holdout",
            expected=f"{ways}{error.expected}" if unread else error.expected,
        ) from None  # fmt: skip
    if none:
        raise UserError("no rows are left to test on", key="holdout", found=none.replace("--exclude", "--holdout"))
    return met[table.numbers.astype(int) - 1]


def _share(text: str, rule: str) -> float:
    share = cells.number_or_nan(text, "share")
    if not 0 < share < 1:
        raise UserError(
            "not a share of the rows", key="holdout", found=rule, expected="share:0.2:COLUMN or share:20%:COLUMN, of (0, 1)"
        )  # fmt: skip
    return share


def _values(table: Table, name: str, rule: str) -> Array:
    if name not in table.columns:
        raise UserError("no such column to hold out by", key="holdout", found=rule, expected=", ".join(table.columns))
    return table.columns[name]
