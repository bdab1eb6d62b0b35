"""README.md of the figures' folder: a data card that says what each file and column is, and how the tables were made."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.figures import Drawn
from analysis.figures.panel import meaning_of
from analysis.report import origin, subjects
from analysis.tables.data import Tables

FILE = "README.md"
READING = """\
Each .csv is the table of one figure: UTF-8, commas, one line of names, numbers unrounded with a point; an empty field is
unknown. `pandas.read_csv` and `pyarrow.csv.read_csv` read it as it is. The .pdf and .png beside it are the figure."""
RIGHTS = """\
The tables hold numbers and names, and none of the text that models were trained on. The suite that made them, and what its
repository ships, are under Apache-2.0. Tables of your own sweep are yours: write your licence here when you hand them on."""
CITATION = """\
Cite the suite as `CITATION.cff` in its repository says, with the commit above, and the papers whose claims it tests:
The Journey Matters (arXiv 2501.12486) and, of training after pruning, P² Law (arXiv 2411.10272)."""


def text(tables: Tables, drawn: tuple[Drawn, ...]) -> str:
    """The card, in Markdown."""
    question, whose = subjects.asked(tables)
    name = tables.sweep.get("name") or tables.name
    return "\n".join(
        (
            f"# Tables of the figures of sweep {name}", "", f"{question} {whose}: {len(tables.all_runs)} runs.", "", READING, "",
            "## Files", "", *_files(drawn), "", "## Columns", "", *_columns(drawn), "## How they were made", "",
            *_list(origin.made(tables)), "", "## The regime", "", *_list(origin.regime(tables)), "", "## Licence", "", RIGHTS,
            "", "## Citation", "", CITATION, "",
        )
    )  # fmt: skip


def _files(drawn: tuple[Drawn, ...]) -> Iterator[str]:
    yield "| file | rows | figure |"
    yield "|---|---|---|"
    for figure in drawn:
        rows = f"{len(figure.rows):,}" if figure.rows else "0: an empty file, since there is nothing to draw"
        yield f"| {figure.name}.csv | {rows} | {_cell(figure.title)} |"


def _columns(drawn: tuple[Drawn, ...]) -> Iterator[str]:
    for figure in drawn:
        if not figure.rows:
            continue
        yield from (f"### {figure.name}.csv", "", figure.caption, "", "| column | unit | meaning |", "|---|---|---|")
        for name in figure.rows[0]:
            unit, meaning = meaning_of(name, figure.means)
            yield f"| {name} | {_cell(unit) or '–'} | {_cell(meaning)} |"
        yield ""


def _list(terms: Iterator[tuple[str, str]]) -> Iterator[str]:
    yield from (f"- {term}: {said}" for term, said in terms)


def _cell(text: str) -> str:
    """A text in a cell of a table, where a bar would end it."""
    return text.replace("|", "\\|")
