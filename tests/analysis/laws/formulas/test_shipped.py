"""Laws that ship as files: each recovers its parameters from simulated rows, and published constants give what one reckons by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.fits.fit import fit
from analysis.fits.objective import Objective
from analysis.laws.formulas import declared, formula, written
from analysis.laws.formulas.formula import FormulaLaw
from analysis.laws.registry import LAWS
from tests.analysis import published
from tests.analysis.points import csv

POINT = {"N": 1e8, "D": 4e9, "U": 1e8, "L": 3.0, "S": 0.5, "experts": 64.0}
BY_HAND = {
    ("data_constrained", "C4"): 3.91284,  # 15.2 effective epochs of 40, and a model worth .31 of its size
    ("downstream_error", "C4"): 0.63468,  # .850 - 2.08 e^-2.268
    ("sparse_interaction", "232 runs, exponents tied"): 3.06554,
    ("expert_routing", "S-BASE"): 2.43053,  # 64 experts count as 53.8
}
TRUTH = {
    "accuracy": {"floor": 0.25, "rise": 0.6, "k": 4.0, "middle": 2.2},
    "data_constrained": {"E": 1.87, "A": 520.0, "B": 1490.0, "alpha": 0.35, "beta": 0.36, "R_D": 15.0, "R_N": 5.0},
    "downstream_error": {"epsilon": 0.85, "k": 2.08, "gamma": 0.756},
    "expert_routing": written.shipped("expert_routing").published["RL-R"],
    "log_compute": {"a": 9.0, "b": -0.14},
    "sparse_interaction": {
        "E": 1.8, "A": 300.0, "B": 800.0, "alpha": 0.33, "beta": 0.29, "epsilon": 0.05, "mu": 0.9, "c": -0.3,
    },
}  # fmt: skip


def law_of(name: str) -> FormulaLaw:
    return declared.law_of(formula.read(written.shipped(name), ()), {})


def theta_of(law: FormulaLaw, values: dict) -> np.ndarray:
    return np.array([values[name] for name in law.names])


def rows(names: tuple[str, ...], count: int = 150) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    n = np.exp(rng.uniform(np.log(1e7), np.log(5e9), count))
    d = n * np.exp(rng.uniform(np.log(2), np.log(200), count))
    drawn = {
        "N": n, "D": d, "U": d / np.exp(rng.uniform(-0.5, np.log(60), count)), "L": rng.uniform(1.8, 4.0, count),
        "S": rng.choice([0.0, 0.25, 0.5, 0.75, 0.9], count), "experts": rng.choice([1.0, 2.0, 4, 8, 32, 128, 512], count),
    }  # fmt: skip
    return {name: drawn[name] for name in names}


def test_every_file_says_its_name_source_columns_and_what_each_parameter_is() -> None:
    assert not set(written.SHIPPED) & set(LAWS)
    for name in written.SHIPPED:
        own, law = written.shipped(name), law_of(name)
        assert own.name == name
        assert own.source
        assert set(own.columns) == set(law.columns)
        assert set(own.parameters) == set(law.names)
        assert all(set(values) == set(law.names) for values in own.published.values())


@pytest.mark.parametrize("name", written.SHIPPED)
def test_a_law_recovers_its_parameters_from_simulated_rows(name: str) -> None:
    law = law_of(name)
    columns = rows(law.columns)
    result = fit(law, columns, law.predict(theta_of(law, dict(TRUTH[name])), columns))
    assert result.parameters == pytest.approx(dict(TRUTH[name]), rel=1e-3)
    assert result.status == "converged"


@pytest.mark.parametrize(("name", "data"), BY_HAND)
def test_published_constants_give_what_one_reckons_by_hand(name: str, data: str) -> None:
    law = law_of(name)
    columns = {own: np.array([POINT[own]]) for own in law.columns}
    found = law.predict(theta_of(law, dict(law.published[data])), columns)
    assert float(found[0]) == pytest.approx(BY_HAND[name, data], abs=2e-5)


def test_tokens_seen_once_are_worth_what_they_are_without_a_limit() -> None:
    law = law_of("data_constrained")
    values = dict(law.published["C4"])
    n, d = np.array([1e8]), np.array([1e10])
    once = law.predict(theta_of(law, values), {"N": n, "D": d, "U": 3 * d})
    assert float(once[0]) == pytest.approx(
        values["E"] + values["A"] / 1e8 ** values["alpha"] + values["B"] / 1e10 ** values["beta"], rel=1e-12
    )
    assert law.predict(theta_of(law, values), {"N": n, "D": d, "U": d / 20})[0] > once[0] + 0.01


@pytest.fixture
def file(tmp_path: Path) -> str:
    columns = rows(("N", "D", "U"), 60)
    law = law_of("data_constrained")
    rng = np.random.default_rng(1)
    loss = law.predict(theta_of(law, dict(TRUTH["data_constrained"])), columns) * np.exp(rng.normal(0, 0.002, 60))
    downstream = law_of("downstream_error")
    error = downstream.predict(theta_of(downstream, dict(TRUTH["downstream_error"])), {"L": loss})
    error = error + rng.normal(0, 0.003, 60)
    table = {**columns, "loss": loss, "err": error, "accuracy": 1 - error}
    return csv(tmp_path, [{name: values[i] for name, values in table.items()} for i in range(60)])


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 2
    return capsys.readouterr().err.splitlines()[0].removeprefix("error: ")


def test_repeats_are_fitted_with_the_law_of_fresh_data_known(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    truth = TRUTH["data_constrained"]
    known = ",".join(f"{name}={truth[name]}" for name in ("E", "A", "B", "alpha", "beta"))
    found = said(capsys, "fit", file, "--law", "data_constrained", "--columns", "U=U", "--fix", known)
    assert set(found["parameters"]) == {"R_D", "R_N"}
    low, high = found["profile"]["R_D"]
    assert low < truth["R_D"] < high


def test_compute_alone_must_be_beaten_and_is(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "compare",
        file,
        "--law",
        "log_compute",
        "--law",
        "chinchilla",
        "--law",
        "data_constrained",
        "--holdout",
        "share:0.2:D",
    )
    judged = said(capsys, *words)["laws"]
    assert [one["law"] for one in judged] == ["log_compute", "chinchilla", "data_constrained"]
    assert judged[0]["held_out"] > judged[1]["held_out"] > judged[2]["held_out"]


def test_the_steps_of_the_page_lead_from_losses_to_an_error(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upper, lower = tmp_path / "ERROR_FIT.json", tmp_path / "LOSS_FIT.json"
    own = ("fit", file, "--law", "downstream_error", "--columns", "loss=err,L=loss", "--bootstrap", "100")
    upper.write_text(json.dumps(said(capsys, *own)))
    below = ("fit", file, "--law", "over_training", "--columns", "loss=loss", "--bootstrap", "100")
    lower.write_text(json.dumps(said(capsys, *below)))
    found = said(capsys, "predict", str(upper), "--through", str(lower), "N=7e9", "D=1.4e11")
    low, high = found["intervals"]["predicted"]
    assert low < found["predicted"] < high


def test_an_error_is_predicted_through_the_loss_with_the_errors_of_both(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upper, lower, sure = (str(tmp_path / name) for name in ("ERR.json", "LOSS.json", "SURE.json"))
    own = ("fit", file, "--law", "downstream_error", "--columns", "loss=err,L=loss", "--bootstrap", "200")
    Path(upper).write_text(json.dumps(said(capsys, *own)))
    below = said(capsys, "fit", file, "--law", "chinchilla", "--bootstrap", "200")  # unaware of repeats, so uncertain
    Path(lower).write_text(json.dumps(below))
    Path(sure).write_text(json.dumps(below | {"draws": [list(below["parameters"].values())]}))
    at = ("N=1e9", "D=2e10")
    alone = said(capsys, "predict", lower, *at)
    chained, known = (said(capsys, "predict", upper, "--through", own, *at) for own in (lower, sure))
    assert chained["loss"] == alone["loss"]
    assert chained["intervals"]["loss"] == pytest.approx(alone["interval"])
    assert chained["predicted"] == pytest.approx(said(capsys, "predict", upper, f"L={alone['loss']}")["predicted"])
    assert known["predicted"] == chained["predicted"]
    widths = [one["intervals"]["predicted"][1] - one["intervals"]["predicted"][0] for one in (chained, known)]
    slope = 2.08 * 0.756 * np.exp(-0.756 * alone["loss"])
    carried = slope * (alone["interval"][1] - alone["interval"][0])
    assert widths[0] == pytest.approx(np.hypot(widths[1], carried), rel=0.15)
    assert main(["predict", upper, "--through", lower, *at]) == 0
    assert "share wrong" in capsys.readouterr().out
    assert refused(capsys, "predict", lower, "--through", lower, *at) == "a law that reads more than a loss"
    assert refused(capsys, "predict", upper, "--through", lower, "N=1e9") == "other columns than the law's"
    Path(sure).write_text(json.dumps({name: value for name, value in below.items() if name != "draws"}))
    told = said(capsys, "predict", upper, "--through", sure, *at)
    assert "intervals" not in told
    assert any("no interval: --through" in text for text in told["warnings"])


def test_an_accuracy_is_no_loss_but_for_a_law_of_accuracies(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--columns", "loss=accuracy,L=loss")
    found = said(capsys, "fit", file, "--law", "accuracy", *words)
    assert found["mean_abs_error"] < 0.005
    assert refused(capsys, "fit", file, "--formula", "a + b*log(L)", *words) == "an accuracy is not a loss"


def test_a_column_that_a_law_names_is_asked_for(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "fit", file, "--law", "expert_routing") == "no such column"
    assert refused(capsys, "fit", file, "--law", "chinchilla", "--fix", "E=1") == "an option for formulas only"
    with pytest.raises(SystemExit, match="2"):
        main(["compare", file, "--law", "chinchilla", "--law", "none"])
    assert "invalid choice: 'none'" in capsys.readouterr().err


@published.needed
def test_gadres_rows_give_the_published_law_of_the_downstream_error() -> None:
    loss, error = published.gadre_downstream("c4_original")
    law = law_of("downstream_error")
    result = fit(law, {"L": loss}, error, Objective("wls"))
    for name, value in law.published["C4"].items():
        assert result.parameters[name] == pytest.approx(value, rel=6e-3), name
