"""A sweep's planned runs as a runs table, without the columns that only training can fill, for `analysis power`."""

from __future__ import annotations

from pathlib import Path

from repro import columns, tables
from repro.errors import UserError
from repro.store.folder import Folder
from sweeps.grid import expand

RECORD = "sweep.json"


def write(file: str | Path, out: str) -> int:
    """Writes runs.parquet, whose results are null, into a folder; returns the exit code.

    Raises:
        UserError: an invalid sweep file, or a folder that holds results of another kind.
    """
    sweep, folder = expand(file, read_models=False), Folder.open(out, key="--out")
    kept = folder.read_json(RECORD) if folder.exists(RECORD) else {}
    if (kept or folder.exists("runs.parquet")) and kept.get("planned_only") is not True:
        raise UserError(
            "the folder holds results already",
            file=out,
            found=f"those of {kept.get('name', 'a sweep')}",
            expected="a new folder for a plan",
        )
    unknown = dict.fromkeys(column.name for column in columns.COLUMNS)
    rows = [
        unknown | columns.planned(run.spec) | {"sweep": sweep.name, "studies": list(run.studies)} for run in sweep.runs
    ]
    folder.write_json(RECORD, {"name": sweep.name, "file": str(file), "planned_only": True})
    tables.write(folder, "runs.parquet", "runs", rows)
    print(f"{out}: {len(rows)} runs; python -m analysis power {out} --sigma NATS tells what they can show")
    return 0
