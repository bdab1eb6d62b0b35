from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from analysis import data, figures, simulate
from analysis.evidence import Evidence
from analysis.figures import comparison, law, pairs, residuals, robustness, schedules, style, theory
from repro.storage import Folder


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


def test_the_same_tables_give_the_same_files(results: Path, written: Path, tmp_path: Path) -> None:
    figures.write_all(Evidence(data.load(Folder.open(results)), resamples=100), Folder.open(tmp_path))
    for path in written.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_few_runs_or_none_still_make_figures(quick: Path, tmp_path: Path) -> None:
    simulate.write(Folder.open(tmp_path / "none"), [])
    for source in (quick, tmp_path / "none"):
        drawn = figures.write_all(
            Evidence(data.load(Folder.open(source)), resamples=100), Folder.open(tmp_path / f"{source.name}-figures")
        )
        assert [d.name for d in drawn] == [m.NAME for m in figures.FIGURES]


def test_a_run_and_its_partner_share_colour_and_marker_and_no_two_sparsities_do() -> None:
    looks = [style.of_run(s) for s in (0.0, 0.2, 0.4, 0.6, 0.8)]
    assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == 5
    partner = style.of_run(0.4, "partner")
    assert (partner.colour, partner.marker, partner.filled) == (looks[2].colour, looks[2].marker, False)
