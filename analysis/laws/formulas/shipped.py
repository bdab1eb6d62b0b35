"""Laws that ship as law files: in analysis/laws/shipped, one file each, called as its law."""

from __future__ import annotations

from pathlib import Path

from analysis.laws.formulas import written
from analysis.laws.formulas.written import WrittenLaw
from repro import reading

FOLDER = Path(__file__).parents[1] / "shipped"
NAMES = tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def law(name: str) -> WrittenLaw:
    """The law of one of `NAMES`."""
    file = FOLDER / f"{name}.yaml"
    return written.of_data(reading.read_mapping(file), file.name)
