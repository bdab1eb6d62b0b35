"""The results folder of a sweep: its address, whether it matches the sweep, which runs are done, and its tables in the end."""

from __future__ import annotations

import os
import time
from typing import Any

from repro import paths, tables
from repro.console.terminal import one_line
from repro.corpus import CorpusSummary, unused
from repro.errors import UserError
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import trackers
from repro.training.provenance import provenance
from sweeps import corpora, sweep_json
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
            what = "a results folder with another schema version"
            expected = f"{' or '.join(map(str, tables.READABLE))}; move the folder away or name another"
            raise UserError(what, file=f"{place}/sweep.json", key="schema_version", found=found, expected=expected)
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


def finish(
    place: Folder,
    sweep: Sweep,
    *,
    asked: set[str],
    trained: set[str],
    has_begun: bool,
    began: float,
    record: dict[str, Any],
    texts: dict[str, CorpusSummary],
) -> int:
    """Joins the tables, writes sweep.json and prints a summary. Returns the exit code.

    asked: runs that should be done now. trained: runs that this driver has trained to their end. has_begun: whether it began
    any. began: its own start, in seconds since the epoch.
    """
    states = {p.spec.run_id: RunFolder(place / "runs" / p.spec.run_id).status() for p in sweep.runs}
    done = {p.spec.run_id: list(p.studies) for p in sweep.runs if states[p.spec.run_id]["state"] == "done"}
    failed = [{"run_id": i, "reason": s["reason"]} for i, s in states.items() if s["state"] == "failed"]
    open_ = {run_id for run_id, state in states.items() if state["state"] not in ("done", "failed")}
    tables.collect(place, sweep.name, done)
    seconds = time.time() - began
    made = {"created": time.strftime("%Y-%m-%d %H:%M:%S %z"), **provenance()} if trained else {}
    if has_begun:  # of all starts, as the tables hold what all of them trained; one that was killed is not known
        made["seconds"] = sweep_json.seconds(record) + seconds
    text = next(iter(texts.values()))
    idle = text.manifest.unused
    corpus = {
        "name": text.manifest.spec.name,
        "licence": text.manifest.licence,
        "folder": text.name,
        "unique_tokens": text.unique_tokens,
        "overlap_13gram": text.manifest.overlap.share,
        "unused_ids": idle,
        "unused_share": None if idle is None else unused.shares(idle, corpora.shapes_on(sweep, texts, text)),
    }
    place.write_json(sweep_json.FILE, record | made | {"corpus": corpus, "failed": failed})
    print(
        f"{sweep.name}: {len(done)} of {len(sweep.runs)} runs done, {len(trained)} trained now, {len(failed)} failed, {seconds:.0f} s -> {place}"
    )
    for entry in failed:
        print(f"  failed: {entry['run_id']}: {one_line(entry['reason'], 2000)}")
    if sweep.resources.trackers:
        faults = [trackers.faults(place / "runs" / run_id) for run_id in sorted(trained)]
        for name in sweep.resources.trackers:
            said = [fault[name] for fault in faults if name in fault]
            if said:
                print(f"  {name} was left out of {len(said)} runs: {one_line(said[0])}")
    if others := len(open_ - asked):
        print(f"  {others} runs are not done, which weren't asked for")
    if left := len(open_ & asked):
        print(f"  stopped with {left} runs left; run the same command again to resume")
        return 130
    return 1 if any(entry["run_id"] in asked for entry in failed) else 0
