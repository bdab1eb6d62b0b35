"""Results folders that aren't whole: what report, figures, claims, lr and fit say of them, without a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.__main__ import main
from analysis.tables import data
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from repro import schemas, tables
from repro.errors import UserError
from repro.store.folder import Folder

VERBS = (["report"], ["power"], ["figures"], ["claims"], ["lr"], ["fit", "--law", "N_avg"])
ROWS = simulated_sweep.simulate(Truth())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    simulated_sweep.write(Folder.open(tmp_path / "results"), ROWS[:12])
    return tmp_path / "results"


def changed(place: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """The runs table, rewritten with its stamp."""
    table = pq.read_table(place / "runs.parquet")
    made = change(table).replace_schema_metadata({"schema_version": str(tables.SCHEMA_VERSION)})
    pq.write_table(made, place / "runs.parquet")


def nulls(name: str) -> Callable[[pa.Table], pa.Table]:
    field = schemas.RUNS.field(name)
    return lambda table: table.set_column(schemas.RUNS.get_field_index(name), field, pa.nulls(len(table), field.type))


def containing(content: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Replaces the runs table by what `content` makes of its bytes."""

    def spoil(place: Path) -> None:
        file = place / "runs.parquet"
        file.write_bytes(content(file.read_bytes()))

    return spoil


def moved(place: Path) -> None:
    place.rename(place.with_name("elsewhere"))


def emptied(place: Path) -> None:
    for file in place.iterdir():
        if file.is_file():
            file.unlink()


FAULTS: dict[str, Callable[[Path], None]] = {
    "no folder": moved,
    "an empty folder": emptied,
    "a file of no bytes": containing(lambda _: b""),
    "half a file": containing(lambda data: data[:500]),
    "another file": containing(lambda _: b"N,D,loss\n1,2,3\n"),
    "a page damaged": containing(lambda data: data[:4] + bytes(len(data) // 2) + data[4 + len(data) // 2 :]),
    "another table": lambda place: changed(place, lambda table: table.select(["run_id", "loss"])),
    "a column of text": lambda place: changed(place, lambda table: table.set_column(
        schemas.RUNS.get_field_index("loss"), "loss", pa.array(["x"] * len(table)))),
    "a column twice": lambda place: changed(place, lambda table: table.append_column("loss", table["loss"])),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_runs_table_that_cant_be_used_is_refused_by_every_verb(
    fault: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTS[fault](place)
    for verb in VERBS:
        assert main([verb[0], str(place), *verb[1:]]) == 2, verb
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("error: ")


@pytest.mark.parametrize("name", ["run_id", "studies", "size", "sparsity", "vocab", "N_prunable"])
def test_a_run_without_what_tells_it_from_others_is_refused(name: str, place: Path) -> None:
    changed(place, nulls(name))
    with pytest.raises(UserError, match=f"null in row 1(.|\n)*|{name}"):
        data.load(Folder.open(place))


@pytest.mark.parametrize("name", ["curves.parquet", "layers.parquet", "evaluations.parquet", "tasks.parquet"])
def test_a_damaged_table_beside_it_is_named(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / name).write_bytes(b"PAR1 and no more")
    assert main(["claims", str(place), "--bootstrap", "100"]) == 2
    assert name in capsys.readouterr().err


def test_runs_alone_are_judged_and_none_of_them_too(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("curves.parquet", "layers.parquet", "sweep.json"):
        (place / name).unlink()
    assert main(["claims", str(place), "--bootstrap", "100"]) == 0
    changed(place, lambda table: table.slice(0, 0))
    assert main(["claims", str(place), "--bootstrap", "100"]) == 0
    assert capsys.readouterr().out.count("INCONCLUSIVE") == 14
    assert main(["lr", str(place)]) == 2
    assert main(["fit", str(place), "--law", "N_avg"]) == 2


@pytest.mark.parametrize(
    ("record", "key"),
    [
        ([], None),
        ("text", None),
        ({"seconds": "an hour"}, "seconds"),
        ({"seconds": True}, "seconds"),
        ({"versions": ["torch"]}, "versions"),
        ({"hardware": "laptop"}, "hardware"),
        ({"failed": ["a run"]}, "failed.0"),
        ({"failed": [{"run_id": "a"}]}, "failed.0.reason"),
        ({"planned": {"a": 1}}, "planned"),
        ({"planned": [{"run_id": "a", "cost": "much"}]}, "planned.0.cost"),
        ({"planned": [{"cost": 1}]}, "planned.0.run_id"),
        ({"training": {"runs": "all"}}, "training.runs"),
        ({"lr_schedules": "cosine"}, "lr_schedules"),
        ({"corpus": {"unique_tokens": "many"}}, "corpus.unique_tokens"),
    ],
)
def test_a_record_of_another_shape_is_refused_by_key(record: Any, key: str | None, place: Path) -> None:
    (place / "sweep.json").write_text(json.dumps(record))
    with pytest.raises(UserError) as caught:
        data.load(Folder.open(place))
    assert caught.value.key == key
    assert "sweep.json" in str(caught.value.file)
