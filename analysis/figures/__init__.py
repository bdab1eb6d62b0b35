"""Figures from tables: one module a figure, each with NAME, TITLE, CAPTION, NOTHING and rows(evidence), its CSV.

Points and curves are said once, as panels(evidence), and drawn on paper and on the page; what isn't made of them
(the heat map of the grid, the bars of the laws) has draw(evidence) and is an image on both. NOTHING says why there may
be nothing to draw. Those of one study alone have applies(tables) and are left out of sweeps without it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from matplotlib.figure import Figure

from analysis.claims import of_the_paper
from analysis.figures import (
    comparison,
    compute,
    density,
    direction,
    direction_gaps,
    extrapolations,
    failure_modes,
    growth,
    kinds,
    law,
    pairs,
    panel,
    promise,
    recovery,
    residuals,
    robustness,
    schedules,
    style,
    theory,
    tokens_wanted,
    unification,
)
from analysis.figures.panel import Meaning, Panel
from analysis.findings.evidence import Evidence
from repro.store.folder import Folder

FIGURES: tuple[ModuleType, ...] = (
    pairs,
    compute,
    law,
    schedules,
    robustness,
    failure_modes,
    comparison,
    residuals,
    theory,
    density,
    promise,
)
OF_ONE_STUDY: tuple[ModuleType, ...] = (
    unification,
    direction,
    direction_gaps,
    growth,
    kinds,
    recovery,
    extrapolations,
    tokens_wanted,
)
OF_EVERY_SWEEP: tuple[ModuleType, ...] = (promise,)


@dataclass(frozen=True)
class Drawn:
    """A figure that was written: its names and texts, its panels or, where it has none, its PNG, and its numbers.

    `means`: of the columns that the table of runs has not, or which are something else here.
    """

    name: str
    title: str
    caption: str
    png: bytes
    panels: tuple[Panel, ...]
    rows: list[dict[str, Any]]
    means: Mapping[str, Meaning]


def write_all(evidence: Evidence, folder: Folder) -> tuple[Drawn, ...]:
    """Writes each figure into `folder` as .pdf (fonts embedded), .png, and .csv of what it draws."""
    return tuple(write(module, evidence, folder) for module in _modules(evidence))


def write(module: ModuleType, source: Any, folder: Folder) -> Drawn:
    """Writes one figure; `source` is what its rows and panels are of: a sweep's evidence, but for figures without tables."""
    rows, panels = module.rows(source), ()
    with style.applied():
        if hasattr(module, "panels"):
            panels = tuple(p for p in module.panels(source) if not p.empty)
            figure = (
                panel.figure(panels, columns=getattr(module, "COLUMNS", 2)) if panels else style.nothing(module.NOTHING)
            )
        else:
            figure = module.draw(source)
        png = _rendered(figure, "png")
        folder.write(f"{module.NAME}.png", png)
        folder.write(f"{module.NAME}.pdf", _rendered(figure, "pdf"))
    folder.write(f"{module.NAME}.csv", as_csv(rows))
    return Drawn(module.NAME, module.TITLE, module.CAPTION, png, panels, rows, getattr(module, "MEANS", {}))


def _modules(evidence: Evidence) -> tuple[ModuleType, ...]:
    """The figures of a sweep; where it isn't judged on pruning while training, none on that."""
    own = tuple(m for m in OF_ONE_STUDY if m.applies(evidence.tables))
    return (*own, *(FIGURES if of_the_paper(evidence.tables) else OF_EVERY_SWEEP))


def _rendered(figure: Figure, kind: str) -> bytes:
    sink = io.BytesIO()
    # The same tables give the same bytes: no date in the file.
    figure.savefig(sink, format=kind, metadata={"CreationDate": None} if kind == "pdf" else {})
    return sink.getvalue()


def as_csv(rows: list[dict]) -> bytes:
    """Rows of one set of keys, under their names."""
    sink = io.StringIO()
    if rows:
        writer = csv.DictWriter(sink, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return sink.getvalue().encode()
