"""The card of the figures' folder: what each file and column is, how it was made, whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import figures
from analysis.figures import pairs, unification
from analysis.figures.panel import meaning_of
from analysis.findings import unification_map
from analysis.findings.evidence import Evidence
from analysis.report import card
from analysis.report.card import text
from repro.store.folder import Folder
from tests.analysis.report.cards import assert_described

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def handed_on(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("figures")
    drawn = figures.write_all(evidence, Folder.open(path))
    (path / card.FILE).write_text(text(evidence.tables, drawn))
    return path


def test_every_column_of_every_figures_table_is_described(handed_on: Path) -> None:
    rows = assert_described(handed_on)
    assert rows.keys() >= {module.NAME for module in figures.FIGURES} - {"promise"}


def test_the_columns_of_the_map_are_described() -> None:
    for name in unification_map.COLUMNS:
        assert meaning_of(name, unification.MEANS).meaning


def test_a_column_that_nothing_describes_ends_it(evidence: Evidence, tmp_path: Path) -> None:
    [drawn] = [figures.write(pairs, evidence, Folder.open(tmp_path))]
    drawn.rows[0]["riddle"] = 1.0
    with pytest.raises(KeyError, match="riddle"):
        text(evidence.tables, (drawn,))


def test_the_card_says_how_the_tables_were_made_and_whose_they_are(handed_on: Path) -> None:
    said = (handed_on / card.FILE).read_text()
    for heading in ("Files", "Columns", "How they were made", "The regime", "Licence", "Citation"):
        assert f"\n## {heading}\n" in said
    assert "| difference | nats/token | loss_sparse less loss_partner at equal seeds |" in said
    assert (
        "| N_avg | parameters | mean over steps of the non-zero prunable weights |" in said
    )  # as the table of runs says
    assert "CITATION.cff" in said
    assert "Apache-2.0" in said
