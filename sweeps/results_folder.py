"""The results folder of a sweep before training: its address, whether it matches the sweep, which runs are done."""

from __future__ import annotations

import os

from repro import paths, tables
from repro.console.terminal import one_line
from repro.errors import UserError
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from sweeps import sweep_json
from sweeps.grid import Sweep


def uri(sweep: Sweep, results: str | None) -> str:
    """The results folder of a sweep: a URI or an absolute path."""
    root = paths.expand(results, key="--results") if results is not None else sweep.storage.expanded(sweep.file).results
    if not root.strip():
        raise UserError("an empty path", key="storage.results", found=repr(root), expected="a folder or a URI")
    return f"{root.rstrip('/') if '://' in root else os.path.abspath(root)}/{sweep.name}"


def check(place: Folder, sweep: Sweep) -> bool:
    """Whether runs are left to train; refuses a folder of another schema version, or with other specs under the same ids."""
    if record := sweep_json.read(place):
        found = record.get("schema_version")
        if found not in tables.READABLE:
            raise UserError(
                "a results folder with another schema version",
                file=f"{place}/sweep.json",
                key="schema_version",
                found=found,
                expected=f"{' or '.join(map(str, tables.READABLE))}; move the folder away or name another",
            )
    is_left = False
    for spec in sweep.specs:
        run = RunFolder(place / "runs" / spec.run_id)
        begun = run.begun_with(spec) is not None
        is_left = is_left or not begun or run.status()["state"] != "done"
    return is_left


def is_done(place: Folder, spec: RunSpec, corpus_hash: str) -> bool:
    """Whether a run is done, on this corpus. A damaged run is reported and marked as failed, so that it is resumed."""
    run = RunFolder(place / "runs" / spec.run_id)
    begun_with = run.begun_with(spec, corpus_hash)
    status = run.status()
    fault = None
    if begun_with is not None and status["state"] == "done":
        fault = run.fault(spec, begun_with)
        if fault is None:
            return True
        run.progress("failed", reason=f"it was done, but {fault}")
    elif status.get("damaged"):
        fault = status["reason"]
    if fault is not None:
        print(f"{spec.run_id}: {one_line(fault)}; it resumes from its last checkpoint", flush=True)
    return False
