"""Which column of a file is which column of a law."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from analysis.laws.formulas.formula import Formula
from analysis.laws.law import Law
from analysis.tables.cell_table import CellTable, listed
from repro.errors import UserError

LOSS = "loss"


ReadsColumns = Law | Formula  # a law, or a formula that is to be one


def known(raw: CellTable, given: Mapping[str, str]) -> set[str]:
    """Names that a formula may read: the file's own, those given, and what follows from C = 6 N D."""
    found = {*raw.names, *given, *(name for name, held in raw.usual.items() if held in raw.names)}
    return found | {"N", "D"} if "C" in found and found & {"N", "D"} else found


def resolve(
    raw: CellTable, laws: Sequence[ReadsColumns], wanted: Sequence[str], given: Mapping[str, str]
) -> dict[str, str]:
    """The file's names of all columns that are wanted, by the laws' names: as given, as usual, or the same.

    Raises:
        UserError: a name that isn't used, a column that isn't there, or one column under two names of a law.
    """
    names = {name: name for name in wanted} | dict(raw.usual)
    needed = {name for law in laws for name in law.columns}
    lack = _lacking(raw, needed, given)
    from_flops = len(lack) == 1
    for name in given:
        if name not in wanted and not (name == "C" and from_flops):
            known = [*wanted, *(["C"] if from_flops else [])]
            raise UserError(
                "a name that isn't used", file=raw.source, key=f"--columns {name}={given[name]}", found=name,
                expected=listed(known, like=name),
            )  # fmt: skip
    names |= given
    if from_flops:
        names["C"] = given.get("C", "C")
    for name in wanted:
        if names[name] not in raw.names and not (from_flops and name in lack and names["C"] in raw.names):
            raise _missing(raw, name, names[name])
    for law in laws:
        held: dict[str, str] = {}
        for name in (*law.columns, LOSS):
            other = held.setdefault(names[name], name)
            if other != name:
                told = name if name in given else other
                raise UserError(
                    "one column under two names of a law", file=raw.source, key=f"--columns {told}={names[told]}",
                    found=f"{other} and {name} are both {names[name]}", expected="a column of its own for each",
                )  # fmt: skip
    return names


def of_use(
    raw: CellTable, laws: Sequence[ReadsColumns], further: Sequence[str], given: Mapping[str, str]
) -> dict[str, str]:
    """Those of the names given that somebody asks for: a law, by C = 6 N D too, or one of the `further` names."""
    needed = {name for law in laws for name in law.columns}
    wanted = {*needed, *further, LOSS, *(["C"] if len(_lacking(raw, needed, given)) == 1 else [])}
    return {name: held for name, held in given.items() if name in wanted}


def _lacking(raw: CellTable, needed: Collection[str], given: Mapping[str, str]) -> list[str]:
    """Which of N and D are asked for, both being needed, and are no column."""
    if not {"N", "D"} <= {*needed}:
        return []
    return [n for n in ("N", "D") if n not in given and raw.usual.get(n, n) not in raw.names]


def _missing(raw: CellTable, name: str, held: str) -> UserError:
    hint = ""
    if any(" - " in column for column in raw.names):
        hint = "; an exported chart has a column for each run: export the table of runs instead"
    return UserError(
        "no such column",
        file=raw.source,
        key=f"columns.{name}",
        found=listed(raw.names, like=held),
        expected=f"{held}; or say --columns {name}=ITS_NAME{hint}",
    )
