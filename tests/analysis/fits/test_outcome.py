"""What isn't an interval says nothing: too few draws, draws without a number, one held-out row, no noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.findings.law_errors import Measure
from analysis.fits import holdout, out_of_sample, outcome
from analysis.fits.fit import fit
from analysis.laws.registry import LAWS
from analysis.tables import table
from analysis.tables.table import Table
from analysis.worlds import simulated_table
from repro.errors import UserError
from tests.analysis.points import csv

LAW = LAWS["chinchilla"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The design of `simulate --law chinchilla --sigma 0.005`: 16 rows, four of them with the largest N."""
    columns = simulated_table.design(LAW)
    loss = simulated_table.losses(LAW, simulated_table.truth(LAW), columns, 0.005, np.random.default_rng(0))[0]
    rows = [dict(zip((*columns, "loss"), row, strict=True)) for row in zip(*columns.values(), loss, strict=True)]
    return csv(tmp_path, rows)


@pytest.mark.parametrize(
    ("draws", "found"),
    [
        (np.arange(1.0, 200.0), (5.0, 195.0)),  # the k-th of 199 stands for k / 200
        (np.where(np.arange(199) < 4, np.nan, 1.0 + np.arange(199)), None),  # four of 199 may lie beyond either end
        (np.append(np.arange(1.0, 199.0), np.inf), (5.0, 195.0)),  # one lies beyond an end where it counts anyway
        (np.full(199, np.nan), None),
        (np.arange(99.0), None),
        (np.zeros(0), None),
        (None, None),
    ],
)
def test_percentiles_are_of_enough_finite_draws(draws, found) -> None:
    if found is not None and draws is not None and not np.isfinite(draws).all():
        interval = outcome.percentiles(draws)
        assert interval is not None
        low, high = interval
        assert low < found[0] + 1e-9
        assert high >= found[1] - 1e-9
    else:
        assert outcome.percentiles(draws) == (None if found is None else pytest.approx(found))


def test_draws_without_a_number_never_make_an_interval_narrower() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(size=1000)
    narrow = outcome.percentiles(draws)
    lost = np.where(rng.random(1000) < 0.01, np.nan, draws)
    wider = outcome.percentiles(lost)
    assert narrow is not None
    assert wider is not None
    assert wider[0] < narrow[0]
    assert wider[1] > narrow[1]


@pytest.mark.parametrize("pair", [(None, 1.0), (np.nan, np.nan), (1.0, np.inf), (-np.inf, -1.0), (2.0, 1.0)])
def test_what_is_not_an_interval_shows_nothing(pair: tuple) -> None:
    assert outcome.interval(*pair) is None
    if None not in pair:
        assert not outcome.above(pair, 0)
        assert not outcome.below(pair, 0)


def test_a_measure_of_no_number_has_no_bounds() -> None:
    draws = np.random.default_rng(0).normal(size=200)
    assert Measure.around(np.nan, draws).interval is None
    assert Measure.around(1.0, np.where(draws > 0, np.nan, draws)).interval is None
    assert Measure.around(1.0, draws).interval is not None


def test_resamples_that_hit_no_held_out_row_are_drawn_again_and_counted(file: str, capsys) -> None:
    words = ["compare", file, "--law", "chinchilla", "--law", "over_training", "--bootstrap", "1000"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    # Of 16 rows four are held out: (3/4)^16 of the draws, a hundredth, miss them.
    assert 1 <= found["bootstrap"]["redrawn"] <= 40
    assert (found["bootstrap"]["units"], found["bootstrap"]["held_out_units"]) == (16, 4)
    low, high = found["laws"][1]["less_interval"]
    assert low < found["laws"][1]["less"] < high
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "nan" not in said
    assert f"{found['bootstrap']['redrawn']} draws" in said


def test_one_row_held_out_is_no_verdict_unless_its_noise_is_known() -> None:
    columns = simulated_table.design(LAW)
    loss = simulated_table.losses(LAW, simulated_table.truth(LAW), columns, 0.005, np.random.default_rng(0))[0]
    rows = Table(columns, "drawn", loss, np.arange(1, 17, dtype=np.float64), None, ())
    split = [holdout.HeldOut("the last row", np.arange(16) == 15)]
    laws = [LAW, LAWS["over_training"]]
    alone = out_of_sample.judge(laws, rows, split, resamples=100)
    assert (alone.judged[1].outcome, alone.judged[1].less_interval) == ("no interval", None)
    assert "one row" in str(alone.judged[1].reason)
    few = Table(columns, "drawn", loss, rows.numbers, np.arange(16) % 4, ())
    assert out_of_sample.judge(laws, few, split, resamples=100, sigma=0.005).judged[1].less_interval is not None


@pytest.mark.parametrize(
    "verb", [["fit", "--law", "chinchilla"], ["compare", "--law", "chinchilla", "--law", "over_training"]]
)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bootstrap", "1"], "at least 100"),
        (["--bootstrap", "-1"], "at least 100"),
        (["--bootstrap", "99"], "at least 100"),
        (["--bootstrap", "1000000001"], "at most 1,000,000"),
        (["--sigma", "0"], "more than 0"),
        (["--sigma", "-0.01"], "more than 0"),
        (["--sigma", "nan", "--bootstrap", "100"], "more than 0"),
        (["--sigma", "inf", "--bootstrap", "100"], "more than 0"),
    ],
)
def test_an_interval_without_meaning_is_refused_with_the_least_that_is_sensible(
    verb: list[str], words: list[str], said: str, file: str, capsys
) -> None:
    assert main([verb[0], file, *verb[1:], *words]) == 2
    out = capsys.readouterr()
    assert said in out.err
    assert not out.out


def test_a_huge_noise_is_no_verdict() -> None:
    """Losses that overflow leave a resample without a number; so many of them leave no interval."""
    columns = simulated_table.design(LAW)
    loss = simulated_table.losses(LAW, simulated_table.truth(LAW), columns, 0.005, np.random.default_rng(0))[0]
    few = Table(columns, "drawn", loss, np.arange(1, 17, dtype=np.float64), np.arange(16) % 4, ())
    with np.errstate(all="ignore"):
        found = out_of_sample.judge(
            [LAW, LAWS["over_training"]], few, holdout.split(few, "largest:N"), resamples=100, sigma=1e4
        )
    assert found.judged[1].outcome == "no interval"
    assert "finite" in str(found.judged[1].reason)


def test_a_table_from_which_no_start_has_an_objective_is_refused() -> None:
    columns = {name: values * 1e-300 for name, values in simulated_table.design(LAW).items()}
    with pytest.raises(UserError, match="can't be fitted"), np.errstate(all="ignore"):
        fit(
            LAW,
            columns,
            1e300
            * simulated_table.losses(
                LAW, simulated_table.truth(LAW), simulated_table.design(LAW), 0.0, np.random.default_rng(0)
            )[0],
        )


def test_a_share_of_the_rows_is_held_out_however_it_is_written(file: str) -> None:
    rows = table.read(file, [LAW])
    fifth, percent = (holdout.split(rows, f"share:{text}:D")[0] for text in ("0.2", "20%"))
    assert fifth.name == percent.name
    assert np.array_equal(fifth.test, percent.test)


@pytest.mark.parametrize("rule", ["share:20:D", "share:x:D", "share::D", "share:nan:D", "share:-0.1:D", "share:0:D", "share:1:D", "share:D", "share", "third:D", ""])  # fmt: skip
def test_a_rule_that_holds_out_no_share_is_refused(file: str, rule: str) -> None:
    with pytest.raises(UserError):
        holdout.split(table.read(file, [LAW]), rule)


def test_a_standard_deviation_that_no_interval_uses_is_said(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", file, "--law", "chinchilla", "--sigma", "0.01", "--json"]) == 0
    assert any("--sigma" in warning for warning in json.loads(capsys.readouterr().out)["warnings"])
