"""fit, compare and predict with a law of one's own, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.fits import saved_fit
from analysis.laws.registry import CHINCHILLA
from repro.errors import UserError
from tests.analysis.points import csv

TRUTH = np.array([1.8, 480.0, 0.35, 2100.0, 0.37])
EFFECT = {"bf16": 1.0, "fp8": 0.8, "fp4": 0.5}
FORMULA = "E + A/N^alpha + B/D^beta"
LAW_FILE = """\
name: effective
formula: E + A/(N_eff)^alpha + B/D^beta
source: these tests
where: {N_eff: "N*eff[precision]"}
parameters:
  eff: {bounds: [0.05, 2], starts: [0.5]}
fixed: {"eff[bf16]": 1}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    rng = np.random.default_rng(0)
    n = np.exp(rng.uniform(np.log(1e7), np.log(1e10), 60))
    d = n * np.exp(rng.uniform(np.log(5), np.log(200), 60))
    levels = rng.choice(list(EFFECT), 60)
    own = {"N": n * [EFFECT[level] for level in levels], "D": d}
    loss = CHINCHILLA.predict(TRUTH, own) * np.exp(rng.normal(0, 0.003, 60))
    return csv(tmp_path, [{"N": a, "D": b, "precision": str(c), "loss": e} for a, b, c, e in zip(n, d, levels, loss, strict=True)])  # fmt: skip


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 2
    return capsys.readouterr().err.splitlines()[0].removeprefix("error: ")


def test_a_formula_is_fitted_as_the_law_of_the_registry(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = said(capsys, "fit", file, "--law", "chinchilla")
    ours = said(capsys, "fit", file, "--formula", FORMULA)
    assert ours["objective"] == pytest.approx(theirs["objective"], rel=1e-9)
    assert ours["parameters"] == pytest.approx(theirs["parameters"], rel=1e-5)
    assert ours["profile"]["alpha"] == pytest.approx(theirs["profile"]["alpha"], rel=1e-4)
    assert (ours["law"], ours["formula"]) == (FORMULA, FORMULA)


def test_what_is_fixed_and_tied_is_said(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("fit", file, "--formula", FORMULA, "--fix", "E=1.69", "--tie", "alpha=beta")
    found = said(capsys, *words)
    assert set(found["parameters"]) == {"A", "B", "beta"}
    assert found["given"] == {"E": 1.69, "alpha": found["parameters"]["beta"]}
    assert main([*words]) == 0
    assert "given: E = 1.69, alpha = beta" in capsys.readouterr().out


def test_a_law_file_with_levels_is_fitted_saved_and_predicts(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    law = tmp_path / "law.yaml"
    law.write_text(LAW_FILE)
    found = said(capsys, "fit", file, "--formula", str(law), "--bootstrap", "200")
    assert found["law"] == "effective"
    options = ("--bounds", "eff=0.05:2", "--fix", "eff[bf16]=1")  # what the file says, on the command line
    line = said(capsys, "fit", file, *options, "--formula", "E + A/(N*eff[precision])^alpha + B/D^beta")
    assert line["parameters"] == pytest.approx(found["parameters"], rel=1e-4)
    for level in ("fp8", "fp4"):
        low, high = found["intervals"][f"eff[{level}]"]
        assert low < EFFECT[level] < high
    saved = tmp_path / "FIT.json"
    saved.write_text(json.dumps(found))
    for level, effect in EFFECT.items():
        answer = said(capsys, "predict", str(saved), "N=1e9", "D=2e10", f"precision={level}")
        true = CHINCHILLA.predict(TRUTH, {"N": np.array([1e9 * effect]), "D": np.array([2e10])})[0]
        assert answer["loss"] == pytest.approx(true, rel=0.003)
        assert answer["interval"][0] < answer["loss"] < answer["interval"][1]
    assert refused(capsys, "predict", str(saved), "N=1e9", "D=2e10", "precision=int4") == "a label that the fit hasn't seen"  # fmt: skip
    compared = said(capsys, "compare", file, "--law", "chinchilla", "--formula", str(saved), "--holdout", "share:0.2:N")
    assert [own["law"] for own in compared["laws"]] == ["chinchilla", "effective"]
    assert compared["laws"][1]["held_out"] < compared["laws"][0]["held_out"]


def test_a_saved_formula_of_size_and_data_gives_the_best_size(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = []
    for words in (("--law", "chinchilla"), ("--formula", FORMULA)):
        saved = tmp_path / "FIT.json"
        saved.write_text(json.dumps(said(capsys, "fit", file, *words)))
        answers.append(said(capsys, "predict", str(saved), "C=1e21"))
    assert answers[1]["N"] == pytest.approx(answers[0]["N"], rel=1e-3)
    assert answers[1]["loss"] == pytest.approx(answers[0]["loss"], rel=1e-6)


def test_a_law_of_the_logarithm_is_linear_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    n = np.geomspace(1e6, 1e9, 20)
    file = csv(tmp_path, [{"N": a, "loss": np.exp(2.0 - 0.07 * np.log(a))} for a in n])
    found = said(capsys, "fit", file, "--formula", "log(loss) = a + b*log(N)")
    assert found["parameters"] == pytest.approx({"a": 2.0, "b": -0.07}, rel=1e-6)
    assert main(["fit", file, "--formula", "log(loss) = a + b*log(N)"]) == 0
    assert "log L = a + b*log(N)" in capsys.readouterr().out


def test_rows_without_a_label_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"N": 10.0**i, "kind": "ab"[i % 2], "loss": 2 + i % 2 + 10 / 10 ** (0.3 * i)} for i in range(4, 16)]
    file = csv(tmp_path, [*rows, {"N": 1e9, "kind": "", "loss": 3.0}])
    found = said(capsys, "fit", file, "--formula", "E[kind] + A/N^alpha")
    assert found["n_rows"] == 12
    assert found["parameters"] == pytest.approx({"E[a]": 2.0, "E[b]": 3.0, "A": 10.0, "alpha": 0.3}, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--formula", "E + A/Nn^alpha + B/D^beta"), "an unknown name"),
        (("--formula", "E + A*B/N^alpha"), "parameters that no rows can tell apart"),
        (("--formula", "E + A/gamma + B/D^beta"), "a division by a parameter that may be zero"),
        (("--formula", "E + A*exp(-k*N)"), "an exponent without bound"),
        (("--formula", "__import__('os').system('true')"), "a character that no formula has"),
        (("--formula", "E + eval(N)"), "an unknown function"),
        (("--formula", FORMULA, "--fix", "N=3"), "a parameter with a column's name"),
        (("--formula", FORMULA, "--fix", "F=3"), "a fixed name that isn't in the law"),
        (("--formula", FORMULA, "--fix", "E=much"), "not what --fix takes"),
        (("--formula", FORMULA, "--fix", "E=nan"), "not what --fix takes"),
        (("--formula", FORMULA, "--fix", "E=1", "--fix", "E=2"), "a name given twice"),
        (("--formula", FORMULA, "--tie", "alpha=gamma"), "a tied name that isn't in the law"),
        (("--formula", FORMULA, "--bounds", "alpha=2:1"), "bounds in the wrong order"),
        (("--formula", FORMULA, "--bounds", "alpha=2"), "not what --bounds takes"),
        (("--formula", FORMULA, "--bounds", "alpha=0:inf"), "an exponent without bound"),
        (("--law", "chinchilla", "--fix", "E=1"), "an option for formulas only"),
        (("--formula", "missing.yaml"), "no such file"),
        (("--formula", "missing.json"), "no such fit"),
    ],
)
def test_what_cant_be_asked_is_refused(
    words: tuple[str, ...], told: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, "fit", file, *words) == told


def test_what_is_wrong_with_a_formula_is_said_before_what_is_wrong_with_its_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = csv(tmp_path, [{"params": 1e6 * 2**i, "tokens": 1e9 * 3 ** (i % 5), "loss": 3 - i / 20} for i in range(20)])
    words = ("--columns", "N=params,D=tokens")
    for text, told in (
        ("E + A/Nn^alpha + B/D^beta", "an unknown name"),
        ("E + A*B/N^alpha", "parameters that no rows can tell apart"),
        ("E + A/gamma + B/D^beta", "a division by a parameter that may be zero"),
        ("E + A*exp(-k*N)", "an exponent without bound"),
        ("__import__('os').system('touch owned')", "a character that no formula has"),
    ):
        assert refused(capsys, "fit", table, *words, "--formula", text) == told
    assert refused(capsys, "fit", table, *words, "--formula", "E + A/N^alpha") == "a name that isn't used"
    assert not Path("owned").exists()


def test_a_name_that_is_no_column_is_told_how_columns_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = csv(tmp_path, [{"params": 1e7 * i, "tokens": 1e9, "loss": 4.0 - i / 10} for i in range(1, 20)])
    assert main(["fit", table, "--formula", FORMULA]) == 2
    assert "--columns NAME=ITS_NAME" in (told := capsys.readouterr().err)
    assert "--bounds N=LOW:HIGH" in told


def test_a_law_or_a_formula_is_needed_and_not_both(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("--law", "chinchilla", "--formula", FORMULA)):
        with pytest.raises(SystemExit) as ended:
            main(["fit", file, *words])
        assert ended.value.code == 2
    capsys.readouterr()
    assert refused(capsys, "compare", file) == "no laws, or one given twice"
    assert refused(capsys, "compare", file, "--formula", FORMULA, "--formula", FORMULA) == "no laws, or one given twice"


@pytest.mark.parametrize(
    "change",
    [
        {"law": {"formula": "exec(N)"}, "columns": ["N", "D"], "levels": {}},
        {"law": {"formula": FORMULA}, "columns": ["N"], "levels": {}},
        {"law": {"formula": FORMULA}, "columns": ["N", "D"], "levels": {"precision": ["fp8"]}},
        {"law": {"formula": FORMULA}, "columns": ["N", "D"], "levels": {"precision": 8}},
        {"law": {"formula": FORMULA, "more": 1}, "columns": ["N", "D"], "levels": {}},
        {"law": FORMULA, "columns": ["N", "D"], "levels": {}},
        {"law": {"formula": FORMULA}, "columns": "ND", "levels": {}},
        {"formula": FORMULA},
        "N",
    ],
)
def test_a_saved_formula_that_was_edited_is_refused(
    change: object, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "FIT.json"
    saved.write_text(json.dumps(said(capsys, "fit", file, "--formula", FORMULA) | {"written": change}))
    with pytest.raises(UserError) as caught:
        saved_fit.load(str(saved))
    assert caught.value.file == str(saved)


def test_a_column_that_no_logarithm_needs_may_hold_zeros_and_less(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"N": 10.0 ** (5 + i), "repeats": k, "loss": 2 + 10 * 10 ** (-0.3 * (5 + i)) * np.exp(-0.5 * k) + 0.1 * k}
        for i in range(4)
        for k in (-1, 0, 1, 2)
    ]
    file = csv(tmp_path, [*rows, {"N": 0, "repeats": 1, "loss": 2.0}])
    words = ("--formula", "E + A*exp(-k*repeats)/N^alpha + b*repeats", "--bounds", "k=0:3", "--objective", "wls")
    found = said(capsys, "fit", file, *words)
    assert found["n_rows"] == 16  # not the one without parameters
    assert found["parameters"] == pytest.approx({"E": 2.0, "A": 10.0, "k": 0.5, "alpha": 0.3, "b": 0.1}, rel=1e-4)
    saved = tmp_path / "FIT.json"
    saved.write_text(json.dumps(found))
    answer = said(capsys, "predict", str(saved), "N=1e6", "repeats=0")
    assert answer["loss"] == pytest.approx(2 + 10 * 10 ** (-0.3 * 6), rel=1e-5)
    assert refused(capsys, "predict", str(saved), "N=-1", "repeats=0") == "value out of range"


def test_a_table_is_drawn_from_a_formula_and_fitted_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, law = str(tmp_path / "drawn.csv"), "E + A*(1-S)^g/N^alpha + b*log(C)"
    words = ("--formula", law, "--bounds", "g=-1:2", "--fix", "E=1")
    values = {"A": 300.0, "g": 0.4, "alpha": 0.3, "b": 0.02}
    asked = ",".join(f"{name}={value}" for name, value in values.items())
    assert main(["simulate", *words, "--parameters", asked, "--sigma", "0", file]) == 0
    capsys.readouterr()
    assert said(capsys, "fit", file, *words)["parameters"] == pytest.approx(values, rel=1e-3)
    assert refused(capsys, "simulate", *words, "--parameters", "A=300", file) == "a parameter without a value"
    assert refused(capsys, "simulate", "--formula", "E[bits] + A/N^a", file) == "a group by an unknown name"
    assert refused(capsys, "simulate", "--formula", "E[S] + A/N^a", file) == "labels, which simulate can't draw"
    assert (
        refused(capsys, "simulate", "--formula", "A/N^a + B/N_avg^b", file)
        == "two sizes, of which simulate can draw one"
    )
    assert refused(capsys, "simulate", "--law", "chinchilla", "--fix", "E=1", file) == "an option for formulas only"


def test_a_straight_line_has_intervals_and_warns_of_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    rng = np.random.default_rng(0)
    flops = np.geomspace(1e17, 1e22, 12)
    losses = 9.0 - 0.14 * np.log(flops) + rng.normal(0, 0.05, 12)
    file = csv(tmp_path, [{"C": c, "loss": loss} for c, loss in zip(flops, losses, strict=True)])
    found = said(capsys, "fit", file, "--formula", "a + b*log(C)", "--bootstrap", "200")
    low, high = found["profile"]["b"]
    assert low < -0.14 < high < 0
    assert [str(one.message) for one in recwarn] == []
