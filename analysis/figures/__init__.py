"""Figures from tables: one module a figure, each with NAME, TITLE, CAPTION, rows(evidence) and draw(evidence)."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from types import ModuleType

from matplotlib.figure import Figure

from analysis.evidence import Evidence
from analysis.figures import comparison, law, pairs, schedules, style
from repro.storage import Folder

FIGURES: tuple[ModuleType, ...] = (pairs, law, schedules, comparison)


@dataclass(frozen=True)
class Drawn:
    """A figure that was written: its names and texts, and its PNG for a page."""

    name: str
    title: str
    caption: str
    png: bytes


def write_all(evidence: Evidence, folder: Folder) -> tuple[Drawn, ...]:
    """Writes each figure into `folder` as .pdf (fonts embedded), .png, and .csv of what it draws."""
    drawn = []
    with style.applied():
        for module in FIGURES:
            figure = module.draw(evidence)
            png = _rendered(figure, "png")
            folder.write(f"{module.NAME}.png", png)
            folder.write(f"{module.NAME}.pdf", _rendered(figure, "pdf"))
            folder.write(f"{module.NAME}.csv", _as_csv(module.rows(evidence)))
            drawn.append(Drawn(module.NAME, module.TITLE, module.CAPTION, png))
    return tuple(drawn)


def _rendered(figure: Figure, kind: str) -> bytes:
    sink = io.BytesIO()
    # The same tables give the same bytes: no date in the file.
    figure.savefig(sink, format=kind, metadata={"CreationDate": None} if kind == "pdf" else {})
    return sink.getvalue()


def _as_csv(rows: list[dict]) -> bytes:
    sink = io.StringIO()
    if rows:
        writer = csv.DictWriter(sink, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return sink.getvalue().encode()
