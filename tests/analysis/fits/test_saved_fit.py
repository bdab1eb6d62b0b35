"""Saved fits: what is written is read, and what somebody else wrote is checked."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from analysis.__main__ import main
from analysis.fits import saved_fit
from analysis.fits.predicted import loss_at
from repro.errors import UserError
from tests.analysis.points import csv, drawn, grid


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `fit` writes with all that can be asked of it."""
    folder = tmp_path_factory.mktemp("fit")
    file = csv(
        folder, [*drawn(*grid(), S=0.0, family=list(range(20))), {"N": 1, "D": 1, "loss": -1, "S": 0, "family": 0}]
    )
    words = ["--clusters", "family", "--bootstrap", "100", "--holdout", "largest:N", "--exclude", "row=1", "--json"]
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *text, **options: lines.append(str(text[0])) if not options else None)
        assert main(["fit", file, "--law", "chinchilla", *words]) == 0
    found: dict[str, Any] = json.loads("\n".join(lines))
    return found


def written(tmp_path: Path, saved: Any, encoding: str = "utf-8") -> str:
    file = tmp_path / "FIT.json"
    file.write_text(saved if isinstance(saved, str) else json.dumps(saved), encoding=encoding)
    return str(file)


def test_what_fit_writes_is_read_again(whole: dict[str, Any], tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):  # as PowerShell redirects
        found = saved_fit.load(written(tmp_path, whole, encoding))
        assert saved_fit.as_json(found.result) == {k: tuple(v) if isinstance(v, list) else v for k, v in whole.items() if k in saved_fit.as_json(found.result)}  # fmt: skip
        assert found.rows is not None
        assert found.rows.ranges["S"] == (0.0, 0.0)
        assert found.draws is not None
        assert found.draws.shape == (100, 5)


def test_a_fit_of_an_older_version_is_read_and_its_ranges_are_said_to_be_unknown(
    whole: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = {key: value for key, value in whole.items() if key not in ("ranges", "ratios", "warnings", "flag_counts")}
    assert main(["predict", written(tmp_path, old), "N=1e8", "D=2e9", "--json"]) == 0
    [told] = json.loads(capsys.readouterr().out)["warnings"]
    assert "without the ranges" in told


def test_a_resample_without_a_loss_at_the_point_leaves_no_interval_and_is_said(
    whole: dict[str, Any], tmp_path: Path
) -> None:
    found = saved_fit.load(written(tmp_path, whole))
    assert found.draws is not None
    draws = found.draws.copy()
    draws[0, 1:3] = 1e308, -40.0  # A / N^alpha of the first resample is infinite
    told = loss_at(dataclasses.replace(found, draws=draws), {"N": 1e8, "D": 2e9})
    assert (told.low, told.high) == (None, None)
    assert "no interval: in some resamples the law has no value there" in told.doubts
    assert loss_at(found, {"N": 1e8, "D": 2e9}).low is not None


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"parameters": {"E": 1.0}}, "parameters"),
        ({"parameters": {"E": None, "A": 1, "alpha": 1, "B": 1, "beta": 1}}, "parameters.E"),
        ({"parameters": {"E": 1, "A": -1, "alpha": 1, "B": 1, "beta": 1}}, "parameters.A"),
        ({"parameters": {"E": "1", "A": 1, "alpha": 1, "B": 1, "beta": 1}}, "parameters.E"),
        ({"parameters": {"E": True, "A": 1, "alpha": 1, "B": 1, "beta": 1}}, "parameters.E"),
        ({"parameters": {"E": 10**400, "A": 1, "alpha": 1, "B": 1, "beta": 1}}, "parameters.E"),
        ({"law": "chinchila"}, "law"),
        ({"law": ["chinchilla"]}, "law"),
        ({"kind": {"kind": "huber_log", "delta": None}}, "kind.delta"),
        ({"kind": {"kind": "mean", "delta": 1}}, "kind.kind"),
        ({"status": "fine"}, "status"),
        ({"bounds_hit": "alpha"}, "bounds_hit"),
        ({"unidentified": ["gamma"]}, "unidentified"),
        ({"n_rows": 2.5}, "n_rows"),
        ({"ranges": {"N": [1, 2]}}, "ranges.D"),
        ({"ranges": {"N": [2, 1], "D": [1, 2]}}, "ranges.N"),
        ({"ranges": [1, 2]}, "ranges"),
        ({"ratios": {"D": [1, 2]}}, "ratios.D"),
        ({"ratios": {"D/X": [1, 2]}}, "ratios.D/X"),
        ({"loss_range": [1]}, "loss_range"),
        ({"draws": [[1, 2]]}, "draws"),
        ({"draws": "many"}, "draws"),
        ({"sigmas": 1}, "sigmas"),
    ],
)
def test_a_file_that_was_edited_is_refused_by_key(change: dict[str, Any], key: str, whole: dict[str, Any], tmp_path: Path) -> None:  # fmt: skip
    with pytest.raises(UserError) as caught:
        saved_fit.load(written(tmp_path, whole | change))
    assert caught.value.key == key


@pytest.mark.parametrize("key", [*saved_fit.NEEDED, "ranges", "ratios"])
def test_a_file_without_a_key_is_refused(key: str, whole: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a saved fit"):
        saved_fit.load(written(tmp_path, {name: value for name, value in whole.items() if name != key}))


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{", '{"law": NaN}', '{"law": 1, "law": 2}', "[" * 100_000, '{"law": Infinity}', "\x00"]
)
def test_what_is_no_fit_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a saved fit"):
        saved_fit.load(written(tmp_path, text))
