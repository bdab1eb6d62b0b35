"""Tables of any origin: what can be used, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.__main__ import main
from analysis.fits.fit import fit
from analysis.laws.registry import CHINCHILLA, LAWS
from analysis.tables import table
from repro.errors import UserError
from tests.analysis.points import ROWS, csv


def test_one_table_reads_alike_from_each_kind_of_file(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "runs.parquet")
    (tmp_path / "runs.jsonl").write_text("\n".join(str(r).replace("'", '"') for r in ROWS))
    found = [table.read(f, [CHINCHILLA]) for f in (csv(tmp_path, ROWS), str(tmp_path / "runs.jsonl"))]
    (tmp_path / "alone").mkdir()
    (tmp_path / "runs.parquet").rename(tmp_path / "alone" / "points.parquet")
    found.append(table.read(str(tmp_path / "alone" / "points.parquet"), [CHINCHILLA]))
    for one in found:
        np.testing.assert_array_equal(one.loss, [r["loss"] for r in ROWS])
        np.testing.assert_array_equal(one.columns["D"], [r["D"] for r in ROWS])
        assert not one.flags


def test_tokens_follow_from_the_training_flop(tmp_path: Path) -> None:
    rows = [{"params": r["N"], "flop": 6 * r["N"] * r["D"], "loss": r["loss"]} for r in ROWS]
    found = table.read(csv(tmp_path, rows), [CHINCHILLA], columns={"N": "params", "C": "flop"})
    np.testing.assert_allclose(found.columns["D"], [r["D"] for r in ROWS])


@pytest.mark.parametrize(
    ("spoil", "reason", "left_out"),
    [
        ({"loss": "nan"}, "loss is nan", True),
        ({"loss": -1.0}, "loss is -1", True),
        ({"D": "inf"}, "D is inf", True),
        ({"N": 0}, "N is 0", True),
        (ROWS[0], "a copy of row 1", False),
    ],
)
def test_an_odd_row_is_flagged_with_its_number(spoil: dict, reason: str, left_out: bool, tmp_path: Path) -> None:
    found = table.read(csv(tmp_path, [*ROWS, ROWS[-1] | spoil]), [CHINCHILLA])
    [flag] = found.flags
    assert (flag.row, flag.excluded) == (13, left_out)
    assert reason in flag.reason
    assert len(found) == (12 if left_out else 13)


@pytest.mark.parametrize(
    ("condition", "left"),
    [("loss>=4", sum(r["loss"] < 4 for r in ROWS)), ("row=1,12", 10), ("N=1e6", 9), ("N!=1e6", 3), ("D<1e9", 8)],
)
def test_excluded_rows_are_said_and_gone(condition: str, left: int, tmp_path: Path) -> None:
    found = table.read(csv(tmp_path, ROWS), [CHINCHILLA], exclude=[condition])
    assert len(found) == left
    assert all(condition in flag.reason for flag in found.flags)
    assert len(found.flags) == 12 - left


@pytest.mark.parametrize(
    ("rows", "given", "message"),
    [
        ([], {}, "empty table"),
        ([ROWS[0] | {"loss": "text"}, *ROWS], {}, "'text' in row 1"),
        ([{"N": 1, "loss": 2}], {}, "no such column"),
        (ROWS, {"columns": {"N": "params"}}, "no such column"),
        (ROWS, {"exclude": ["loss>0"]}, "no row is left"),
        (ROWS, {"exclude": ["loss"]}, "not a condition"),
        (ROWS, {"exclude": ["speed>1"]}, "no such column"),
        (ROWS, {"clusters": "family"}, "no such column"),
    ],
)
def test_a_table_that_cant_be_read_says_why(rows: list[dict], given: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        table.read(csv(tmp_path, rows), [CHINCHILLA], **given)


@pytest.mark.parametrize(
    ("keep", "reason"),
    [
        (lambda r: r["N"] == 1e6, "N doesn't vary"),
        (lambda r: r["D"] == 1e8, "D doesn't vary"),
        (lambda r: r["N"] == 1e6 and r["D"] < 1e12, "3 runs for 5 parameters"),
    ],
)
def test_rows_that_cant_identify_a_law_name_the_column(keep, reason: str, tmp_path: Path) -> None:
    rows = [r for r in ROWS if keep(r)]
    many = rows if "runs" in reason else [r | {"loss": r["loss"] + i} for i in range(3) for r in rows]
    found = table.read(csv(tmp_path, many), [CHINCHILLA])
    with pytest.raises(UserError, match=reason):
        fit(CHINCHILLA, found.columns, found.loss)


def test_one_sparsity_cant_identify_a_law_of_sparsity(tmp_path: Path) -> None:
    found = table.read(csv(tmp_path, [r | {"S": 0.5} for r in ROWS]), [LAWS["sparse"]])
    with pytest.raises(UserError, match="S doesn't vary"):
        fit(LAWS["sparse"], found.columns, found.loss)


def test_an_empty_file_and_an_unknown_kind_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "table.xlsx").touch()
    for name, message in (
        ("empty.csv", "an empty table"),
        ("table.xlsx", "unknown kind"),
        ("none.csv", "no such table"),
    ):
        assert main(["fit", str(tmp_path / name), "--law", "chinchilla"]) == 2
        assert message in capsys.readouterr().err


NAMED = [r | {"val_loss": r["loss"] * 0.9, "run": i} for i, r in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"Loss": "val_loss"}, "loss, N, D"),
        ({"n": "N"}, "N, D, loss"),
        ({"params": "N"}, "N, D, loss"),
        ({"C": "val_loss"}, "N, D, loss"),  # N and D are there: C would change nothing
        ({"N": "D"}, "a column of its own"),
        ({"loss": "N"}, "a column of its own"),
        ({"loss": "Val_Loss"}, "Val_Loss; or"),
    ],
)
def test_a_name_that_nothing_asks_for_is_refused_with_those_that_are(
    given: dict[str, str], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=expected):
        table.read(csv(tmp_path, NAMED), [CHINCHILLA], columns=given)


@pytest.mark.parametrize(
    "words",
    [
        ["--columns", "N=N,N=D"],
        ["--columns", "N=N", "--columns", "N=D"],
        ["--columns", "N"],
        ["--columns", "=N"],
        ["--clusters", "Run"],
        ["--holdout", "largest:n"],
        ["--holdout", "each:none"],
        ["--delta", "0"],
        ["--delta", "nan"],
        ["--delta", "-1"],
        ["--delta", "inf"],
        ["--objective", "lad", "--delta", "0.1"],
        ["--exclude", "n == 1e6"],
    ],
)
def test_an_option_that_would_do_nothing_or_has_no_meaning_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["fit", csv(tmp_path, NAMED), "--law", "chinchilla", *words]) == 2
    assert capsys.readouterr().out == ""


def test_laws_are_named_once(tmp_path: Path) -> None:
    for laws in ([], ["--law", "chinchilla", "--law", "chinchilla"]):
        assert main(["compare", csv(tmp_path, NAMED), *laws]) == 2


@pytest.mark.parametrize("law", ["Chinchilla", "nosuch", "chinchilla over_training", ""])
def test_laws_are_named_as_they_are(law: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["compare", csv(tmp_path, NAMED), "--law", "chinchilla", "--law", law])
    assert f"invalid choice: {law!r}" in capsys.readouterr().err


def test_columns_with_commas_and_spaces_are_named_in_quotes(tmp_path: Path) -> None:
    rows = [{'"loss, val"': r["loss"], "N params": r["N"], "D": r["D"]} for r in ROWS]
    words = ["--law", "chinchilla", "--columns", 'loss="loss, val",N=N params', "--json"]
    assert main(["fit", csv(tmp_path, rows), *words]) == 0


def test_what_is_left_out_or_not_asked_for_may_hold_anything(tmp_path: Path) -> None:
    rows = [r | {"C": "8xA100", "status": "ok"} for r in ROWS]
    rows += [{"N": "?", "D": "8k steps", "loss": "diverged", "C": 1, "status": "failed"}]
    found = table.read(csv(tmp_path, rows), [CHINCHILLA], exclude=["status=failed"])
    assert (len(found), [flag.row for flag in found.flags]) == (12, [13])
    with pytest.raises(UserError, match="'8k steps' in row 13"):
        table.read(csv(tmp_path, rows), [CHINCHILLA])


def test_thousands_of_rows_that_are_left_out_take_a_few_lines(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = [*ROWS, *[ROWS[0] | {"loss": f"{50 + i}"} for i in range(3000)], *[ROWS[0] | {"loss": "NA"}] * 500]
    words = ["--law", "chinchilla", "--exclude", "loss>=50", "--exclude", "loss == 9", "--json"]
    assert main(["fit", csv(tmp_path, rows), *words]) == 0
    told = capsys.readouterr()
    assert len(told.err.splitlines()) < 12
    assert "exclude loss>=50: " in told.err
    assert "no row meets --exclude 'loss == 9'" in told.err
    found = json.loads(told.out)
    assert found["flag_counts"] == {"left out: loss>=50": 3000, "left out: loss can't be used": 500}
    assert len(found["flags"]) == 40
    assert any("loss == 9" in text for text in found["warnings"])
