"""Runs that say they are done, made without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from repro import schemas, tables
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder

TEXT = "0" * 16


def a_row(table: schemas.Table, **facts: object) -> dict[str, Any]:
    """A row of some values, each of its column's kind."""
    row: dict[str, Any] = {}
    for field in schemas.SCHEMAS[table]:
        if pa.types.is_list(field.type):
            row[field.name] = []
        elif pa.types.is_boolean(field.type):
            row[field.name] = False
        else:
            row[field.name] = "x" if pa.types.is_string(field.type) else 1
    return row | facts


def finished(path: Path, spec: RunSpec) -> RunFolder:
    """A run that says it is done, with its tables."""
    run = RunFolder(Folder.open(path))
    run.begin(spec, TEXT)
    mine = {"run_id": spec.run_id, "fingerprint": spec.fingerprint, "corpus_hash": TEXT}
    hashes = {
        "run.parquet": tables.write(run.folder, "run.parquet", "runs", [a_row("runs", **mine)]),
        "curve.parquet": tables.write(run.folder, "curve.parquet", "curves", [a_row("curves", run_id=spec.run_id)]),
        "layers.parquet": tables.write(run.folder, "layers.parquet", "layers", []),
    }
    run.finish(spec, TEXT, hashes)
    assert run.is_done(spec, TEXT)
    return run
