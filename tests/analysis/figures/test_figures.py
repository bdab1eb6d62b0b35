from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from bokeh.models import ColumnDataSource, Scatter
from bokeh.models.renderers import GlyphRenderer

from analysis import figures
from analysis.figures import comparison, interactive, law, pairs, residuals, robustness, schedules, style, theory
from analysis.figures.panel import Panel, Points
from analysis.findings.evidence import Evidence
from analysis.tables import data
from analysis.tables.mirrored import SAID
from analysis.worlds import simulated_sweep
from repro.store.folder import Folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def written(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("figures")
    figures.write_all(evidence, Folder.open(path))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.mark.parametrize("module", figures.FIGURES, ids=lambda module: module.NAME)
def test_each_figure_leaves_a_picture_a_vector_file_with_embedded_fonts_and_its_numbers(module, written: Path) -> None:
    assert (written / f"{module.NAME}.png").read_bytes().startswith(b"\x89PNG")
    pdf = (written / f"{module.NAME}.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert rows_of(written / f"{module.NAME}.csv")


@pytest.mark.parametrize(
    ("module", "count"),
    [(pairs, 4), (law, 30), (schedules, 80), (comparison, 183), (residuals, 72), (robustness, 12), (theory, 96)],
)
def test_the_numbers_beside_a_figure_are_those_it_draws(module, count: int, written: Path) -> None:
    rows = rows_of(written / f"{module.NAME}.csv")
    assert len(rows) == count
    if module is law:
        assert all(abs(float(r["predicted"]) - float(r["actual"]) - float(r["error"])) < 1e-12 for r in rows)
    if module is schedules:
        assert sum(float(r["over_best"]) == 0 for r in rows) == 8


@pytest.mark.full
def test_the_same_tables_give_the_same_files(results: Path, written: Path, tmp_path: Path) -> None:
    figures.write_all(Evidence(data.load(Folder.open(results)), resamples=100), Folder.open(tmp_path))
    for path in written.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_no_runs_still_make_figures(tmp_path: Path) -> None:
    """Those of a few runs are drawn in test_main.py."""
    folder = Folder.open(tmp_path / "none")
    simulated_sweep.write(folder, [])
    drawn = figures.write_all(Evidence(data.load(folder), resamples=100), folder / "figures")
    assert [d.name for d in drawn] == [m.NAME for m in figures.FIGURES]


def test_a_run_and_its_partner_share_colour_and_marker_and_no_two_sparsities_do() -> None:
    looks = [style.of_run(s) for s in (0.0, 0.2, 0.4, 0.6, 0.8)]
    assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == 5
    partner = style.of_run(0.4, "partner")
    assert (partner.colour, partner.marker, partner.filled) == (looks[2].colour, looks[2].marker, False)


def test_a_run_id_cant_end_the_script_that_draws_it() -> None:
    bad = "</script><script>alert(1)</script>"
    points = Points(style.of_run(0.8), np.array([1.0]), np.array([2.0]), [bad])
    embedded = interactive.embed({"one": [Panel(bad, "x", "y", (points,))]})
    assert "alert(1)" in embedded.script
    assert "</script" not in embedded.script
    assert "</script" not in embedded.library


def test_marks_side_by_side_are_told_where_they_belong() -> None:
    points = Points(style.of_run(0.8), np.array([50.0]), np.array([2.0]), ["a"], shift=0.6)
    dots = dots_of(Panel("", "x", "y", (points,)))
    assert (dots["x"][0], dots["at"][0]) == (50.0, 50.6)


def test_a_mark_beside_a_named_place_stays_at_that_place() -> None:
    points = Points(style.of_run(0.8), np.array([0.0, 1.0]), np.array([2.0, 3.0]), ["a", "b"], shift=-0.3)
    dots = dots_of(Panel("", "", "y", (points,), ticks=("one", "two")))
    assert list(dots["x"]) == ["one", "two"]
    assert list(dots["at"]) == [-0.3, 0.7]


def dots_of(panel: Panel) -> dict:
    """What the page's marks of one look are drawn from."""
    plot = interactive._plot(panel)
    [dots] = [r for r in plot.renderers if isinstance(r, GlyphRenderer) and isinstance(r.glyph, Scatter)]
    assert isinstance(dots.data_source, ColumnDataSource)
    assert dots.glyph.x == "at"
    return dict(dots.data_source.data)


def test_sparsities_that_the_paper_hasnt_got_look_like_no_other() -> None:
    looks = [style.of_run(s / 100) for s in range(101)]
    assert len({(look.colour, look.marker) for look in looks}) == len(looks)


def test_sparsities_of_one_percent_have_one_look() -> None:
    assert style.of_run(0.4003) == style.of_run(0.4)
    assert style.of_run(0.002).label == "1% sparse"  # not dense


def test_no_two_things_share_colour_and_marker() -> None:
    looks = [style.of_run(s / 100) for s in range(101)]
    looks += [style.of_rank(key, rank, f"{key} {rank}") for key in get_args(style.Key) for rank in range(7)]
    assert len({(look.colour, look.marker) for look in looks}) == len(looks)
    assert {style.of_way(said) for said in (*SAID.values(), style.GROWN)} <= {
        style.of_rank("N(t)", rank, said) for rank, said in enumerate((*SAID.values(), style.GROWN))
    }


def test_every_marker_can_be_drawn_on_the_page_and_in_its_keys() -> None:
    looks = [style.of_run(s / 100) for s in range(101)] + [style.of_rank("law", rank, "") for rank in range(7)]
    for look in looks:
        assert look.marker in interactive.MARKERS
        assert "stroke=" in interactive.swatch(look, line=False)
