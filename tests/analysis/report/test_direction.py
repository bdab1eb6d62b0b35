"""The page of a sweep of mirrored sets and growth: its own claims and figures, and no others'."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.claims import IN_ANY_DIRECTION, schedule
from analysis.figures import direction, direction_gaps, growth, kinds, promise
from analysis.worlds import simulated_sweep
from repro.store.folder import Folder
from tests.analysis import mirrored_worlds
from tests.analysis.mirrored_worlds import ArrowTruth
from tests.analysis.report.cards import assert_described

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "sets"
    rows = mirrored_worlds.simulate(ArrowTruth(kappa=0.5))
    simulated_sweep.write(Folder.open(path), [row for row in rows if "40t" not in row["family"] or not row["sparsity"]])
    assert main(["report", str(path), "--bootstrap", "100", "--worlds", "0"]) == 0
    return path


def test_the_page_has_the_claims_on_the_direction_alone(reported: Path) -> None:
    page = (reported / "report.html").read_text()
    assert 'id="direction"' in page
    assert 'id="after-pruning"' not in page
    assert "Does it matter when parameters are there" in page
    assert schedule.STATEMENT not in page
    verdicts = json.loads((reported / "claims.json").read_text())
    assert [verdict["claim"] for verdict in verdicts] == [claim.CLAIM for claim in IN_ANY_DIRECTION]
    assert next(v for v in verdicts if v["claim"] == "i")["ruled"] == "not reproduced"


def test_its_figures_are_those_of_its_studies_and_their_numbers_are_there(reported: Path) -> None:
    written = {path.stem for path in (reported / "figures").glob("*.png")}
    assert written == {module.NAME for module in (direction, direction_gaps, growth, kinds, promise)}
    for name in written - {promise.NAME}:
        assert (reported / f"figures/{name}.png").stat().st_size > 10_000
    with (reported / "figures/direction_gaps.csv").open() as file:
        gaps = {(row["cell"], row["kind"]): float(row["difference"]) for row in csv.DictReader(file)}
    assert len(gaps) == 10
    assert gaps["25k 20t at 80%", "rising"] < gaps["25k 20t at 40%", "rising"] < -0.05


def test_every_column_of_its_figures_tables_is_described(reported: Path) -> None:
    assert len(assert_described(reported / "figures")) >= 3
