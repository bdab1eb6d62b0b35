"""`analysis fit` on the published points, and `analysis predict FIT.json within=…`: tokens until a pruned model is so close to its parent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis import figures
from analysis.__main__ import main
from analysis.tables.post_training import curve_points, published
from analysis.worlds import simulated_post_training as simulated

pytestmark = pytest.mark.slow
Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved fit of P2 on one method's curves."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("points")
    points = curve_points(simulated.simulate(methods=("depth-taylor",), level=0.001, point=0.0005))
    (folder / "post_training.csv").write_bytes(figures.as_csv(list(published(points))))
    words = ["--exclude", "role!=pruned", "--exclude", "method!=depth-taylor", "--clusters", "run_id"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        command = ["fit", str(folder / "post_training.csv"), "--law", "post_training_pruning", "--bootstrap", "100"]
        assert main([*command, *words, "--json"]) == 0
    (folder / "fit.json").write_text(said.getvalue())
    return folder / "fit.json"


def asked(fitted: Path, capsys: Out, *words: str) -> tuple[dict, str]:
    capsys.readouterr()
    assert main(["predict", str(fitted), *words, "--json"]) == 0
    found = capsys.readouterr()
    return json.loads(found.out), found.err


def test_the_row_at_no_tokens_is_left_out_and_said(fitted: Path) -> None:
    saved = json.loads(fitted.read_text())
    assert saved["n_rows"] == 150
    assert any("D can't be used" in kind for kind in saved["flag_counts"])


def test_tokens_come_with_an_interval_and_without_a_warning_inside_the_rows(fitted: Path, capsys: Out) -> None:
    answer, _ = asked(fitted, capsys, "within=0.6", "N0=35000", "rho=0.3")
    assert answer["interval"][0] < answer["tokens"] < answer["interval"][1]
    assert 4e3 < answer["tokens"] < 4e5
    assert not any("extrapolated" in text for text in answer["warnings"])


def test_what_goes_beyond_the_rows_is_said(fitted: Path, capsys: Out) -> None:
    answer, said = asked(fitted, capsys, "within=0.6", "N0=1e9", "rho=0.3", "L0=2.5")
    assert any("N0 = 1e+09 is beyond" in text for text in answer["warnings"])
    assert answer["loss"] == pytest.approx(3.1)
    assert "extrapolated" in said


@pytest.mark.filterwarnings("error")
def test_what_no_training_brings_is_said_and_has_no_number(fitted: Path, capsys: Out) -> None:
    answer, _ = asked(fitted, capsys, "within=0.0001", "N0=35000", "rho=0.3")
    assert answer["tokens"] is None
    assert any("never comes so close" in text for text in answer["warnings"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["within=0.1", "N0=35000"], "rho"),
        (["within=-1", "N0=35000", "rho=.2"], "within"),
        (["within=0.1", "D=5", "N0=1e5", "rho=.2"], "D"),
    ],
)
def test_what_a_user_gets_wrong_is_said_with_exit_code_2(
    fitted: Path, words: list[str], said: str, capsys: Out
) -> None:
    assert main(["predict", str(fitted), *words]) == 2
    assert said in capsys.readouterr().err
