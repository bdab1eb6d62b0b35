"""The fitting tool in Python: the same numbers as the commands', from any kind of table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import analysis
from analysis.__main__ import main
from analysis.laws.registry import CHINCHILLA
from repro.errors import UserError
from tests.analysis import compute
from tests.analysis.points import csv, drawn, grid

FORMULA = "E + A/N^alpha + B/D^beta"
Out = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Twenty runs with tokens in billions, and one that diverged."""
    rows = [{"params": r["N"], "tokens": r["D"] / 1e9, "val_loss": r["loss"]} for r in drawn(*grid())]
    return csv(tmp_path, [*rows, {"params": 5e7, "tokens": 1.0, "val_loss": 9.0}])


COLUMNS = {"N": "params", "D": "tokens:B", "loss": "val_loss"}
NAMES = ["--columns", ",".join(f"{name}={held}" for name, held in COLUMNS.items()), "--exclude", "val_loss>=8"]


def table(source: Any) -> Any:
    return analysis.read(source, exclude="val_loss>=8", **COLUMNS)


def said(capsys: Out, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def same(found: dict[str, Any], printed: dict[str, Any]) -> None:
    """To the bit, but for warnings, which name arguments instead of options."""
    assert len(found.pop("warnings")) == len(printed.pop("warnings"))
    assert json.loads(json.dumps(found)) == printed


def test_a_fit_and_what_it_predicts_are_those_of_the_commands(file: str, tmp_path: Path, capsys: Out) -> None:
    more = ["--bootstrap", "200", "--holdout", "largest:N", "--sigma", "0.01"]
    printed = said(capsys, "fit", file, "--law", "chinchilla", *NAMES, *more)
    fit = analysis.fit(table(file), "chinchilla", bootstrap=200, holdout="largest:N", sigma=0.01)
    assert fit.params == printed["parameters"]
    assert list(fit.interval("alpha")) == printed["intervals"]["alpha"]
    same(fit.as_json(), printed)
    saved = str(tmp_path / "FIT.json")
    fit.save(saved)
    point, told = fit.predict(N=7e9, D=1e12), said(capsys, "predict", saved, "N=7e9", "D=1e12")
    assert (point.value, [point.low, point.high]) == (told["loss"], told["interval"])
    assert [*point.doubts, *point.beyond] == told["warnings"]
    assert len(point.beyond) == 2
    assert fit.predict(N=2e8, D=1e10).beyond == ()
    same(fit.best(1e21), said(capsys, "predict", saved, "C=1e21"))


def test_a_formula_is_told_what_the_options_tell_it(file: str, capsys: Out) -> None:
    printed = said(capsys, "fit", file, "--formula", FORMULA, *NAMES, "--fix", "E=1.8", "--tie", "alpha=beta",
                   "--bounds", "beta=0.1:0.9")  # fmt: skip
    fit = analysis.fit(table(file), FORMULA, fix={"E": 1.8}, tie={"alpha": "beta"}, bounds={"beta": (0.1, 0.9)})
    same(fit.as_json(), printed)
    assert (fit.params["E"], fit.params["alpha"]) == (1.8, fit.params["beta"])
    assert list(fit.interval("beta")) == printed["profile"]["beta"]


def test_a_comparison_is_that_of_the_command(file: str, capsys: Out) -> None:
    more = ["--formula", "E + A/N^alpha", "--holdout", "N>4e8", "--bootstrap", "200"]
    printed = said(capsys, "compare", file, "--law", "chinchilla", "--law", "over_training", *NAMES, *more)
    found = analysis.compare(
        table(file), ["chinchilla", "over_training", "E + A/N^alpha"], holdout="N>4e8", bootstrap=200
    )
    assert found.laws["over_training"].less == printed["laws"][1]["less"]
    same(found.as_json(), printed)
    assert "over_training" in repr(found)


@pytest.mark.parametrize("method", ["parabola", "free"])
def test_the_best_sizes_are_those_of_the_command(method: Any, tmp_path: Path, capsys: Out) -> None:
    size, flops, _, loss = compute.budgets(compute.HOFFMANN)
    loss = compute.noisy(loss, 0.003, np.random.default_rng(0))
    source = csv(tmp_path, [{"n": n, "c": c, "loss": own} for n, c, own in zip(size, flops, loss, strict=True)])
    found = analysis.isoflop(analysis.read(source, N="n", C="c"), method=method)
    printed = said(capsys, "isoflop", source, "--columns", "N=n,C=c", "--method", method)
    assert found.a_N.value == printed["a_N"]["value"]
    same(found.as_json(), printed)
    assert found.plot(tmp_path / "isoflop.svg").png.startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "isoflop.svg").read_bytes()


def test_every_kind_of_table_gives_the_same(file: str) -> None:
    frame = pd.read_csv(file)
    whole = analysis.fit(table(file), FORMULA)
    for source in (Path(file), frame, pa.Table.from_pandas(frame), {name: frame[name].to_numpy() for name in frame}):
        again = analysis.fit(table(source), FORMULA)
        assert (again.params, again.notes, again.warnings) == (whole.params, whole.notes, whole.warnings)


def test_a_cell_without_a_number_is_left_out_of_any_kind_of_table(file: str) -> None:
    frame = pd.read_csv(file).astype({"params": "Float64"})
    frame.loc[3, "params"] = pd.NA
    arrays = {name: frame[name].to_numpy(dtype=float, na_value=np.nan) for name in frame}
    found = [analysis.fit(table(source), FORMULA) for source in (frame, pa.Table.from_pandas(frame), arrays)]
    assert {(len(fit.inner.rows), *fit.params.values()) for fit in found} == {(19, *found[0].params.values())}
    assert all(any("row 4" in note for note in fit.notes) for fit in found)


def test_a_law_is_a_name_a_formula_a_file_or_itself(file: str, tmp_path: Path) -> None:
    (tmp_path / "law.yaml").write_text(f"name: own\nformula: {FORMULA}\n")
    runs = table(file)
    named = analysis.fit(runs, "chinchilla")
    assert analysis.fit(runs, CHINCHILLA).params == named.params
    by_file = analysis.fit(runs, tmp_path / "law.yaml")
    assert by_file.law.name == "own"
    assert analysis.fit(runs, by_file.law).params == by_file.params
    assert by_file.params == pytest.approx(named.params, rel=1e-6)


def test_names_that_one_law_has_no_use_for_are_there_for_the_next(file: str) -> None:
    runs = table(file)
    assert set(analysis.fit(runs, "E + A/N^alpha").params) == {"E", "A", "alpha"}
    assert set(analysis.fit(runs, "E + B/D^beta").params) == {"E", "B", "beta"}


def test_groups_are_predicted_by_label_and_drawn_in_their_colours(tmp_path: Path) -> None:
    rows = [r | {"kind": kind} for kind in ("bf16", "fp8") for r in drawn(*grid())]
    runs = {name: [r[name] for r in rows] for name in rows[0]}
    runs["loss"] = [loss + 0.1 * (kind == "fp8") for loss, kind in zip(runs["loss"], runs["kind"], strict=True)]
    fit = analysis.fit(runs, "E[kind] + A/N^alpha + B/D^beta")
    apart = fit.predict(N=1e9, D=1e10, kind="fp8").value - fit.predict(N=1e9, D=1e10, kind="bf16").value
    assert apart == pytest.approx(0.1, abs=0.01)
    with pytest.raises(UserError, match="a label that the fit hasn't seen"):
        fit.predict(N=1e9, D=1e10, kind="int4")
    labels = [text.get_text() for legend in fit.plot().figure.legends for text in legend.get_texts()]
    assert labels == ["bf16", "fp8"]


def test_a_result_says_all_as_text_and_as_html(file: str) -> None:
    fit = analysis.fit(analysis.read(file, exclude=["val_loss>=8", "params<1"], **COLUMNS), FORMULA, sigma=0.01)
    text, page = repr(fit), fit._repr_html_()
    for one in ("alpha", f"{fit.params['alpha']:.6g}", "converged", "20 of 21 rows left"):
        assert one in text
        assert one in page
    assert "warning: no interval uses sigma" in text
    assert "<li>no interval uses sigma" in page
    assert "--" not in text + page
    assert "&lt;1" in page
    assert "params<1" not in page


def test_a_plot_is_written_and_shown(file: str, tmp_path: Path) -> None:
    fit = analysis.fit(table(file), FORMULA)
    shown = fit.plot(tmp_path / "fit.png")
    assert (tmp_path / "fit.png").read_bytes() == shown._repr_png_()
    predicted, *residuals = shown.figure.axes
    x, y = predicted.lines[1].get_data()
    assert np.array_equal(x, fit.inner.rows.loss)
    assert np.array_equal(y, fit.inner.result.predict(fit.inner.columns))
    assert [axes.get_title() for axes in residuals] == ["residuals over N", "residuals over D"]
    for path in (tmp_path / "fit.gif", tmp_path / "none" / "fit.png"):
        with pytest.raises(UserError):
            fit.plot(path)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda runs: analysis.fit(runs, "chinchila"), "chinchila"),
        (lambda runs: analysis.fit(runs, 3), "int"),
        (lambda runs: analysis.fit(runs, FORMULA, bootstrap=3), "key:      bootstrap"),
        (lambda runs: analysis.fit(runs, FORMULA, objective="l2"), "key:      objective"),
        (lambda runs: analysis.fit(runs, FORMULA, fix={"E": "two"}), "key:      fixed.E"),
        (lambda runs: analysis.fit(runs, FORMULA, fix={"F": 1.0}), "F"),
        (lambda runs: analysis.fit(runs, "chinchilla", fix={"E": 1.0}), "an option for formulas only"),
        (lambda runs: analysis.fit(runs, FORMULA, holdout="biggest:N"), "holdout"),
        (lambda runs: analysis.fit(runs, "N_avg"), "say N_avg=ITS_NAME"),
        (lambda runs: analysis.compare(runs, "chinchilla"), "a list"),
        (lambda runs: analysis.compare(runs, []), "no law"),
        (lambda runs: analysis.isoflop(runs, method="cubic"), "key:      method"),
        (lambda runs: analysis.fit(runs, FORMULA).predict(N=1e9), "other columns"),
        (lambda runs: analysis.fit(runs, FORMULA).predict(N=1e9, D=float("nan")), "not a number"),
        (lambda runs: analysis.fit(runs, FORMULA).interval("gamma"), "gamma"),
        (lambda runs: analysis.fit(runs, FORMULA).best(-1), "out of range"),
        (lambda _: analysis.read({"N": [1, 2], "D": [1]}), "unequal length"),
        (lambda _: analysis.read({"N": [[1, 2]]}), "shape"),
        (lambda _: analysis.read(3), "int"),
        (lambda _: analysis.read({"n": [1.0]}, N="m"), "no such column"),
        (lambda _: analysis.read({"n": [1.0]}, N="n:X"), "unknown unit"),
        (lambda _: analysis.read({"n": [1.0]}, clusters="m"), "key:      clusters"),
        (lambda _: analysis.read({"n": [1.0]}, exclude="n"), "exclude"),
    ],
)
def test_what_cannot_be_done_is_an_error_that_names_arguments(call: Any, told: str, file: str) -> None:
    with pytest.raises(UserError) as found:
        call(table(file))
    assert told in str(found.value)
    assert "--" not in str(found.value)


def test_the_library_brings_what_it_needs_when_it_needs_it() -> None:
    code = (
        "import sys, analysis; early = {'numpy', 'scipy', 'pyarrow'} & set(sys.modules); analysis.fit; "
        "print(sorted(early), sorted({'torch', 'ray', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert done.stdout.strip() == "[] ['numpy']", done.stderr
    assert {"read", "fit", "compare", "isoflop"} <= set(dir(analysis))
    with pytest.raises(AttributeError):
        _ = analysis.fitt
