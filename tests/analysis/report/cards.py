"""What a figures' folder must be so that it can be handed on: each table readable, each column described."""

from __future__ import annotations

import re
from pathlib import Path

from pyarrow import csv

from analysis import figures
from analysis.report import card

MODULES = {module.NAME: module for module in (*figures.FIGURES, *figures.OF_ONE_STUDY)}
NUMBER = ("int64", "double")


def assert_described(folder: Path) -> dict[str, int]:
    """Reads the tables of `folder` as their card says; returns the rows of each.

    Every column of every table has a line with unit and meaning, and every meaning that a figure declares is of a column.
    """
    text = (folder / card.FILE).read_text()
    rows = {}
    for path in sorted(folder.glob("*.csv")):
        if not path.stat().st_size:
            assert f"| {path.name} | 0: " in text
            continue
        table = csv.read_csv(path)
        section = text.split(f"### {path.name}\n")[1].split("\n##")[0]
        lines = re.findall(r"^\| (.+?) \| (.+?) \| (.+) \|$", section, re.MULTILINE)[1:]
        assert [name for name, _, _ in lines] == table.column_names, path.name
        assert all(len(meaning) > 1 for _, _, meaning in lines)
        assert set(MODULES[path.stem].MEANS) <= set(table.column_names), path.name
        for name, unit, _ in lines:
            if unit != "–":  # what has a unit is a number
                assert str(table[name].type) in (*NUMBER, "null"), (path.name, name)
        assert f"| {path.name} | {len(table):,} |" in text
        rows[path.stem] = len(table)
    return rows
