"""Claim (h) on maps drawn from a known truth: where the relation begins is found, and where it fails that is said."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import figures
from analysis.__main__ import main
from analysis.claims import unification
from analysis.figures import style
from analysis.figures import unification as figure
from analysis.findings.evidence import Evidence
from analysis.findings.unification_map import COLUMNS
from analysis.laws.law import Array
from analysis.tables import data
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from repro.store.folder import Folder
from tests.analysis.maps import simulate_map

CELLS = {"8k": (15.0, 30.0, 60.0, 120.0), "25k": (15.0, 30.0, 60.0)}


@cache
def exact() -> tuple[dict[str, Any], ...]:
    """A map without noise."""
    return tuple(simulate_map(Truth(sigma=0.0), CELLS))


def rows(sigma: float = 0.006, seed: int = 0, **cost: float) -> list[dict[str, Any]]:
    """A map in which sparse runs lose some nats by their tokens per parameter: t15=.1 costs .1 at 15."""
    rng, found = np.random.default_rng(seed), []
    for row in exact():
        own = cost.get(f"t{row['dense_tokens'] / row['N_prunable']:.0f}", 0.0) if row["sparsity"] else 0.0
        found.append({**row, "loss": row["loss"] + own + sigma * rng.standard_normal()})
    return found


def judged(tables) -> Any:
    return unification.judge(Evidence(tables, resamples=100))


def test_it_is_shown_from_where_it_holds(swept) -> None:
    found = judged(swept(rows(t15=0.15, t30=0.1)))
    assert found.verdict == "reproduced"
    assert "from 60 tokens per parameter on, at 10,368 parameters" in found.because
    assert "from 60 tokens per parameter on, at 30,208 parameters" in found.because
    assert found.interval[0] < 1 < found.interval[1]


def test_a_gap_in_the_middle_ends_what_is_shown(swept) -> None:
    found = judged(swept(rows(t60=0.15)))
    assert "from 120 tokens per parameter on, at 10,368" in found.because
    assert "not shown up to 60 tokens per parameter, at 30,208" in found.because


def test_a_cell_outside_at_the_most_tokens_is_no_reproduction(swept) -> None:
    found = judged(swept(rows(t120=0.2)))
    assert found.verdict == "not reproduced"
    assert "40% at 120" in found.because


def test_noise_that_hides_ten_percent_is_inconclusive(swept) -> None:
    assert judged(swept(rows(sigma=0.06))).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("keep", "because"),
    [
        (lambda r: r["seed"] == 0, "no configuration was run with several seeds"),
        (lambda r: r["sparsity"] > 0, "no sparse run with a dense partner"),
        (lambda r: r["sparsity"] > 0 or ("-p" in r["size"] and r["budget"] == "15t"), "no slope of the dense loss"),
    ],
)
def test_what_is_missing_is_said(swept, keep, because: str) -> None:
    found = judged(swept([r for r in rows() if keep(r)]))
    assert found.verdict == "inconclusive"
    assert because in found.because


def test_one_sparsity_alone_shows_nothing(swept) -> None:
    found = judged(swept([r for r in rows() if r["sparsity"] != 0.4]))
    assert found.verdict == "inconclusive"
    assert "not shown up to 120" in found.because


def test_intervals_hold_the_truth(swept) -> None:
    held = []
    tables = swept(rows(sigma=0.0))
    rng = np.random.default_rng(0)
    for _ in range(8):
        loss = tables.runs["loss"] + 0.006 * rng.standard_normal(len(tables.runs))
        noisy = replace(tables, runs=replace(tables.runs, columns={**tables.runs.columns, "loss": loss}))
        cells = Evidence(noisy).chart.cells
        draws: list[Array] = [c.draws for c in cells if c.draws is not None]
        ends = [np.quantile(own, (0.025, 0.975)) for own in draws]
        held += [low < 1 < high for low, high in ends]
    assert 0.88 < np.mean(held) <= 1


def test_a_sweep_without_a_map_has_no_such_claim_and_no_such_figure(evidence: Evidence) -> None:
    assert not figure.applies(evidence.tables)


@pytest.mark.full
def test_the_report_writes_map_csv_and_the_figure(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path / "results")
    simulated_sweep.write(folder, rows(t15=0.15))
    assert main(["report", str(folder), "--bootstrap", "100", "--worlds", "0"]) == 0
    written = list(csv.DictReader(io.StringIO((tmp_path / "results/map.csv").read_text())))
    assert tuple(written[0]) == COLUMNS
    assert len(written) == 14
    assert (tmp_path / "results/figures/map.png").stat().st_size > 10_000
    verdicts = json.loads((tmp_path / "results/claims.json").read_text())
    assert [v["claim"] for v in verdicts][-1] == "h"
    assert data.load(folder).name == "results"


def test_a_map_without_noise_is_drawn_too(swept) -> None:
    single = Evidence(swept([r for r in rows() if r["seed"] == 0]))
    with style.applied():
        assert figures.unification.draw(single).axes
    assert all(row["low"] is None and row["ratio"] for row in figure.rows(single))
