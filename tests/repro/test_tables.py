"""Tables from anywhere: what is damaged, of other columns or of other runs is one message, and no id becomes a path."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from repro import columns, tables
from repro.errors import UserError
from repro.schemas import RUNS
from repro.store.folder import Folder
from tests.repro.store.runs import a_row

VERSION = {"schema_version": str(tables.SCHEMA_VERSION)}


def written(folder: Path, name: str = "run.parquet", **facts: object) -> Path:
    tables.write(Folder.open(folder), name, "runs", [a_row("runs", **facts)])
    return folder / name


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[100:140] = bytes(byte ^ 0xFF for byte in data[100:140])
    file.write_bytes(bytes(data))


DAMAGE = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-20]),
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("run_id,loss\n"),
    "its end alone": lambda file: file.write_bytes(b"PAR1" + b"\xff" * 40 + b"PAR1"),
    "its middle": flipped,
}


@pytest.mark.parametrize("spoil", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_one_message(spoil: object, tmp_path: Path) -> None:
    spoil(written(tmp_path))  # type: ignore[operator]
    with pytest.raises(UserError, match=r"run\.parquet"):
        tables.read(Folder.open(tmp_path), "run.parquet", "runs")


@pytest.mark.parametrize("version", [None, "1", "4", "\xff"])
def test_another_schema_version_is_refused(version: str | None, tmp_path: Path) -> None:
    table = pa.table({"run_id": ["a"]}).replace_schema_metadata(version and {"schema_version": version})
    pq.write_table(table, tmp_path / "runs.parquet")
    with pytest.raises(UserError, match="another schema version"):
        tables.read(Folder.open(tmp_path), "runs.parquet")


def test_other_columns_are_refused_where_they_matter(tmp_path: Path) -> None:
    whole = tables.read(Folder.open(written(tmp_path).parent), "run.parquet")
    text = pa.array([str(value) for value in whole["loss"].to_pylist()])
    for table, key in (
        (whole.drop_columns(["loss"]), "loss"),
        (whole.append_column("notes", pa.array(["x"])), "notes"),
        (whole.set_column(whole.column_names.index("loss"), "loss", text), "loss"),
    ):
        tables.write_arrow(Folder.open(tmp_path), "run.parquet", table)
        with pytest.raises(UserError, match="not the columns of runs") as error:
            tables.read(Folder.open(tmp_path), "run.parquet", "runs")
        assert error.value.key == key


def test_more_rows_than_a_sweep_writes_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes may stand for any number of equal rows."""
    monkeypatch.setattr(tables, "MOST_ROWS", 10_000)
    rows = pa.table({"seed": pa.array(bytes(10_001), pa.int8())}).replace_schema_metadata(VERSION)
    pq.write_table(rows, tmp_path / "runs.parquet")
    assert (tmp_path / "runs.parquet").stat().st_size < 2_000
    with pytest.raises(UserError, match="too many rows"):
        tables.read(Folder.open(tmp_path), "runs.parquet")


@pytest.mark.parametrize("run_id", ["../../../other", "/etc", ".hidden", "a/b", "", "a\nb"])
def test_an_id_that_is_a_path_is_never_one(run_id: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a name"):
        tables.collect_evaluations(Folder.open(tmp_path), [run_id])


def test_a_row_under_another_run_s_name_is_refused_when_tables_are_joined(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "mine"
    for name, table in (("run.parquet", "runs"), ("curve.parquet", "curves"), ("layers.parquet", "layers")):
        tables.write(Folder.open(folder), name, table, [a_row(table, run_id="theirs")])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="rows of another run"):
        tables.collect(Folder.open(tmp_path), "sweep", {"mine": ["grid"]})
    assert not (tmp_path / "runs.parquet").exists()


def test_a_runs_table_from_before_a_column_was_added_is_read_with_nulls(tmp_path):
    folder = Folder.open(tmp_path)
    row = dict.fromkeys(RUNS.names) | {"run_id": "one", "heads": 2}
    whole = pa.Table.from_pylist([row], schema=RUNS)
    tables.write_arrow(folder, "runs.parquet", whole.drop_columns(list(columns.ADDED)))
    assert tables.read(folder, "runs.parquet", "runs").to_pylist() == [row]
    tables.write_arrow(folder, "runs.parquet", whole.drop_columns(["heads"]))
    with pytest.raises(UserError, match="not the columns of runs"):
        tables.read(folder, "runs.parquet", "runs")
