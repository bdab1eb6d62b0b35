"""The page of a sweep of training after pruning: its own claims, figures and table, and no others'."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.claims import AFTER_PRUNING, schedule
from analysis.figures import extrapolations, promise, recovery, tokens_wanted
from analysis.tables import data
from analysis.tables.post_training import FILE, curve_points
from analysis.worlds import simulated_post_training as simulated
from repro.store.folder import Folder
from tests.analysis.report.cards import assert_described

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "pruned"
    simulated.write(Folder.open(path), simulated.simulate(methods=("depth-taylor",), level=0.0015, point=0.0005))
    assert main(["report", str(path), "--bootstrap", "100", "--worlds", "0"]) == 0
    return path


def test_the_tables_of_a_sweep_are_those_that_were_drawn(reported: Path) -> None:
    points = curve_points(data.load(Folder.open(reported)))
    drawn = curve_points(simulated.simulate(methods=("depth-taylor",), level=0.0015, point=0.0005))
    for name in ("loss", "N_avg", "rho", "L0", "D"):
        assert points[name] == pytest.approx(drawn[name]), name
    assert list(points["role"]) == list(drawn["role"])


def test_the_page_has_the_claims_on_training_after_pruning_alone(reported: Path) -> None:
    page = (reported / "report.html").read_text()
    assert 'id="after-pruning"' in page
    assert "How does a pruned model recover while it trains on?" in page
    for claim in AFTER_PRUNING:
        assert f"({claim.CLAIM})" in page
    assert schedule.STATEMENT not in page
    verdicts = json.loads((reported / "claims.json").read_text())
    assert [verdict["claim"] for verdict in verdicts] == [claim.CLAIM for claim in AFTER_PRUNING]
    assert {verdict["verdict"] for verdict in verdicts} <= {
        "reproduced",
        "inconclusive",
    }  # no rates, so none is refuted
    written = {path.stem for path in (reported / "figures").glob("*.png")}
    assert written == {module.NAME for module in (recovery, extrapolations, tokens_wanted, promise)}


def test_the_published_points_hold_the_row_at_no_tokens(reported: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((reported / FILE).read_text())))
    first = [row for row in rows if float(row["D"]) == 0]
    assert len(first) == len({row["run_id"] for row in rows})
    assert all(row["loss"] == row["L_parent"] for row in first)


def test_every_column_of_its_figures_tables_is_described(reported: Path) -> None:
    assert len(assert_described(reported / "figures")) >= 3
