"""The end of `sweeps run`: the runs' tables joined, sweep.json written, the outcome printed."""

from __future__ import annotations

import time
from typing import Any

from repro import tables
from repro.console.terminal import one_line
from repro.corpus import CorpusSummary, unused
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import trackers
from repro.training.provenance import provenance
from sweeps import corpora, sweep_json
from sweeps.grid import Sweep


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

    asked: runs that should be done now. trained: runs that this driver has trained to their end. has_begun: whether it began any. began: its own
    start, in seconds since the epoch.
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
    place.write_json(
        sweep_json.FILE,
        record
        | made
        | {
            "corpus": {
                "name": text.manifest.spec.name,
                "licence": text.manifest.licence,
                "folder": text.name,
                "unique_tokens": text.unique_tokens,
                "overlap_13gram": text.manifest.overlap.share,
                "unused_ids": idle,
                "unused_share": None if idle is None else unused.shares(idle, corpora.shapes_on(sweep, texts, text)),
            },
            "failed": failed,
        },
    )
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
