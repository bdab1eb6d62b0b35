"""Tables of a run and of a sweep as Parquet files, each written whole or not at all. No torch, no Ray.

A run writes its own rows of `runs`, `curves` and `layers` into its folder; `collect` joins those of all runs into the
sweep's tables. Evaluations of a model on other text and on tasks are added to `evaluations` and `tasks`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from repro import columns, paths, tables_v2
from repro.errors import UserError
from repro.schemas import KEYS, RUNS, SCHEMAS, Table
from repro.store.folder import Folder

SCHEMA_VERSION = 3
READABLE = (2, SCHEMA_VERSION)  # versions of tables and results folders
MOST_ROWS = 50_000_000


def write(folder: Folder, name: str, table: Table, rows: list[dict[str, Any]]) -> str:
    """Writes rows as a Parquet file of `table`'s schema; returns its hash. Raises ValueError on a column too many or few."""
    schema = SCHEMAS[table]
    for row in rows:
        if set(row) != set(schema.names):
            raise ValueError(f"{table}: columns differ: {sorted(set(row) ^ set(schema.names))}")
    return write_arrow(folder, name, pa.Table.from_pylist(rows, schema=schema))


def write_arrow(folder: Folder, name: str, data: pa.Table) -> str:
    """Writes an Arrow table as Parquet, whole, stamped with the schema version. Returns its SHA-256."""
    written = encode(data)
    folder.write(name, written)
    return hashlib.sha256(written).hexdigest()


def encode(data: pa.Table, *, level: int | None = None) -> bytes:
    """An Arrow table as a Parquet file, stamped with the schema version; `level` of zstd, None for its usual one."""
    data = data.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION)})
    sink = pa.BufferOutputStream()
    pq.write_table(data, sink, compression="zstd", compression_level=level)
    return bytes(sink.getvalue())


def read(folder: Folder, name: str, table: Table | None = None) -> pa.Table:
    """Reads a Parquet file of this project. A runs table comes in the columns of today, whichever it was written with.

    Args:
        table: whose columns it must have, each of its kind; None takes any, as they are.

    Raises:
        UserError: missing, unreadable, of another schema version, of more rows than a sweep writes, or of other columns.
    """
    path = f"{folder}/{name}"
    if not folder.exists(name):
        raise UserError("no such table", file=path, expected="a Parquet file that a sweep wrote")
    data = folder.read(name)
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        found = (file.schema_arrow.metadata or {}).get(b"schema_version", b"none").decode(errors="replace")
        if found not in map(str, READABLE):
            message = "a table of another schema version"
            expected = " or ".join(map(str, READABLE))
            raise UserError(message, file=path, key="schema_version", found=found[:80], expected=expected)
        if file.metadata.num_rows > MOST_ROWS:  # a few bytes may stand for any number of rows
            raise UserError(
                "too many rows", file=path, found=f"{file.metadata.num_rows:,}", expected=f"at most {MOST_ROWS:,}"
            )
        whole = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"not a readable Parquet file: {str(error).splitlines()[0][:300]}", file=path) from error
    if table is None:
        return whole
    if table == "runs" and found == "2":
        _check_columns(whole, pa.schema([RUNS.field(name) for name in tables_v2.NAMES]), table, path)
        return tables_v2.upgraded(whole, RUNS)
    if table == "runs":
        whole = _with_added(whole)
    _check_columns(whole, SCHEMAS[table], table, path)
    return whole


def _with_added(found: pa.Table) -> pa.Table:
    """A runs table with the columns that were added since it was written, null, in today's order."""
    for name in columns.ADDED:
        if name not in found.schema.names:
            found = found.append_column(RUNS.field(name), pa.nulls(len(found), RUNS.field(name).type))
    return found.select(RUNS.names) if sorted(found.schema.names) == sorted(RUNS.names) else found


def _check_columns(found: pa.Table, schema: pa.Schema, table: Table, path: str) -> None:
    """Refuses a table whose columns, in whatever order, are not those of `schema`."""
    wanted, have = {f.name: f.type for f in schema}, {f.name: f.type for f in found.schema}
    if len(have) < len(found.schema):
        raise UserError("two columns of one name", file=path, found=", ".join(found.schema.names)[:300])
    if differ := sorted(key for key in wanted.keys() | have.keys() if wanted.get(key) != have.get(key)):
        message = f"not the columns of {table}"
        expected = str(wanted.get(differ[0], "none"))
        raise UserError(message, file=path, key=differ[0], found=str(have.get(differ[0], "none")), expected=expected)


def add(folder: Folder, table: Literal["evaluations", "tasks"], rows: list[dict[str, Any]]) -> None:
    """Adds rows to FOLDER/TABLE.parquet, in the place of those with the same KEYS."""
    name, keys = f"{table}.parquet", KEYS[table]
    known = read(folder, name, table).to_pylist() if folder.exists(name) else []
    merged = {tuple(row[key] for key in keys): row for row in (*known, *rows)}
    write(folder, name, table, list(merged.values()))


def collect_evaluations(results: Folder, run_ids: Iterable[str]) -> None:
    """Joins what evaluations left in the folders of runs into results/{evaluations,tasks}.parquet.

    Rows that were put there of models that are no runs stay.
    """
    run_ids = [paths.check_name(run_id, file=f"{results}/runs.parquet", key="run_id") for run_id in run_ids]
    for table in KEYS:
        name = f"{table}.parquet"
        runs = [results / "runs" / run_id for run_id in run_ids]
        parts = [read(run, name, table) for run in runs if run.exists(name)]
        if results.exists(name):
            there = read(results, name, table)
            parts.append(there.filter(pc.is_null(there["fingerprint"])))
        if parts:
            write_arrow(results, name, pa.concat_tables(parts))


def collect(results: Folder, sweep: str, studies: dict[str, list[str]]) -> dict[str, pa.Table]:
    """Joins the parts that finished runs left under `results`/runs into results/{runs,curves,layers}.parquet.

    Beside them evaluations.parquet and tasks.parquet, where there was an evaluation.

    Args:
        sweep: its name.
        studies: run id -> studies it serves, of the runs to join. Both belong to the sweep, not to a run, so
            they are filled in here.
    """
    joined: dict[str, pa.Table] = {}
    parts_of: dict[Table, str] = {"runs": "run.parquet", "curves": "curve.parquet", "layers": "layers.parquet"}
    for name, part in parts_of.items():
        parts = [_part(results / "runs" / run_id, part, name, run_id) for run_id in studies]
        joined[name] = pa.concat_tables(parts) if parts else SCHEMAS[name].empty_table()
    runs = joined["runs"]
    ids = runs.column("run_id").to_pylist()
    for column, values in (("sweep", [sweep] * len(ids)), ("studies", [studies[i] for i in ids])):
        field = RUNS.field(column)
        runs = runs.set_column(RUNS.get_field_index(column), field, pa.array(values, field.type))
    joined["runs"] = runs
    for joint, whole in joined.items():
        write_arrow(results, f"{joint}.parquet", whole)
    collect_evaluations(results, studies)
    return joined


def _part(folder: Folder, name: str, table: Table, run_id: str) -> pa.Table:
    """What a run has left of a table, completed from its spec where it is of an older schema version.

    Raises:
        UserError: a row is another run's, or a file is damaged.
    """
    found = read(folder, name, table)
    if strangers := set(found["run_id"].to_pylist()) - {run_id}:
        stranger = repr(next(iter(strangers)))
        raise UserError("rows of another run", file=f"{folder}/{name}", key="run_id", found=stranger, expected=run_id)
    if table == "runs" and found.schema.metadata.get(b"schema_version") == b"2" and folder.exists("spec.json"):
        from repro.spec import from_kept  # pydantic, which a table alone does without

        return tables_v2.completed(found, from_kept(folder.read_json("spec.json"), file=f"{folder}/spec.json"))
    return found
