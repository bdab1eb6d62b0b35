"""Laws by what somebody says of them, and the rows of a table that they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.fits import holdout, saved_fit
from analysis.fits.fit_rows import FitRows, LastEvaluations
from analysis.laws.formulas import declared, formula, written
from analysis.laws.formulas.formula import Formula, FormulaLaw
from analysis.laws.formulas.written import WrittenLaw
from analysis.laws.law import Law
from analysis.laws.registry import LAWS
from analysis.tables import column_names, table
from analysis.tables.cell_table import CellTable
from repro import paths, reading
from repro.errors import UserError

FILES = (".yaml", ".yml")


def named(name: str) -> Law | WrittenLaw:
    """A law of the registry, or one that ships as a file. Raises UserError for a name that is neither's."""
    if name in written.SHIPPED:
        return written.shipped(name)
    if name not in LAWS:
        raise UserError("no such law", key="law", found=name, expected=", ".join([*LAWS, *written.SHIPPED]))
    return LAWS[name]


def written_law(text: str) -> WrittenLaw:
    """The law of a formula, of a law file, .yaml, or of a saved fit, .json.

    Raises:
        UserError: see `written.of_data` and `saved_fit.load`; a fit of a law that isn't a formula.
    """
    ending = Path(text).suffix.lower()
    if ending in FILES:
        path = Path(paths.expand(text))
        return written.of_data(reading.read_mapping(path), text)
    if ending == ".json":
        law = saved_fit.load(text).result.law
        if not isinstance(law, FormulaLaw):
            raise UserError(
                "a fit of a law that isn't a formula", key="--formula", found=text, expected=f"--law {law.name}"
            )
        return law.written
    return WrittenLaw(text)


def read(
    raw: CellTable,
    laws: Sequence[Law | WrittenLaw],
    *,
    columns: Mapping[str, str],
    exclude: Sequence[str],
    clusters: str | None,
    rule: str | None = None,
    weights: str | None = None,
    last: int | str | None = None,
    spare: bool = False,
) -> tuple[FitRows, list[Law]]:
    """The rows that the laws are fitted to, and the laws, in their order.

    Args:
        raw: the cells. columns, exclude, clusters: see `table.read`. rule: by which rows are held out.
        weights: a column that says what each row weighs; None weighs all alike.
        last: of how many last evaluations of a run, a cluster, the mean becomes its row, see `LastEvaluations`; None: every row is one.
        spare: columns may have names that no law asks for.

    Raises:
        UserError: no laws, or one given twice; see `formula`, `declared`, `table.read`, `LastEvaluations.means` and `FitRows.weighed`.
    """
    evaluations = None if last is None else LastEvaluations.of(last)
    known = column_names.known(raw, columns)
    asked: list[Formula | Law] = [formula.read(own, known) if isinstance(own, WrittenLaw) else own for own in laws]
    names = [own.name for own in asked]
    if not names or len(set(names)) < len(names):
        raise UserError("no laws, or one given twice", key="law", found=", ".join(names), expected="laws, each once")
    # What is wrong with a formula is said before what is wrong with its columns; groups need the rows' labels first.
    asked = [declared.law_of(own, {}) if isinstance(own, Formula) and not own.labels else own for own in asked]
    needed = {name for own in asked for name in own.columns}
    by = holdout.column_of(rule)
    also = [by] if by and by not in ("clusters", "loss", *needed) else []
    labels = list(dict.fromkeys(name for own in asked if isinstance(own, Formula) for name in own.labels))
    if spare:
        columns = column_names.of_use(raw, asked, (*also, *labels), columns)
    of_loss = not any(isinstance(own, WrittenLaw) and own.unit for own in laws)
    found = table.read(
        raw, asked, columns=columns, exclude=exclude, clusters=clusters, also=also, labels=labels, of_loss=of_loss
    )
    rows = FitRows.of(found)
    if evaluations is not None:
        rows = evaluations.means(rows, clusters)
    if weights is not None:
        rows = rows.weighed(weights)
    return rows, [declared.law_of(own, rows.levels) if isinstance(own, Formula) else own for own in asked]
