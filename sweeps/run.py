"""`sweeps run`: build the text, train what is not done, join the tables, say what failed."""

from __future__ import annotations

import socket
import time
from dataclasses import asdict
from typing import Any

import psutil

from repro import tables
from repro.corpus import Corpus, build
from repro.errors import UserError
from repro.provenance import provenance
from repro.run_folder import RunFolder
from repro.spec import RunSpec
from repro.storage import Folder
from sweeps.grid import Sweep
from sweeps.packing import cost, longest_first
from sweeps.progress import Progress
from sweeps.status import Planned, Watcher

STALE = 30.0  # seconds without a sign of life after which a running owner counts as dead


def run(sweep: Sweep, *, results: str | None = None, lanes: int | None = None) -> int:
    """Trains every run of the sweep that is not done; returns the exit code: 1 when a run failed, 130 when stopped.

    Args:
        sweep: the expanded file.
        results: root of the results folders, instead of the sweep's own.
        lanes: runs at once, instead of the sweep's own.

    Raises:
        UserError: before anything is trained: the corpus, the results folder or a run in it doesn't fit.
    """
    began = time.time()
    uri = f"{results or sweep.storage.results}/{sweep.name}"
    place = Folder.open(uri)
    check_results(place, sweep)
    texts = build_corpora(sweep)
    for planned in sweep.runs:
        spec = planned.spec
        texts[spec.run_id].check(spec.tokens, spec.repeat, spec.run_id)
    folders = {p.spec.run_id: f"{uri if '://' in uri else place.path}/runs/{p.spec.run_id}" for p in sweep.runs}
    todo = longest_first(
        p.spec
        for p in sweep.runs
        if not RunFolder(place / "runs" / p.spec.run_id).is_done(p.spec, texts[p.spec.run_id].hash)
    )
    record: dict[str, Any] = {"schema_version": tables.SCHEMA_VERSION, "name": sweep.name, "file": str(sweep.file)}
    previous = place.read_json("sweep.json") if place.exists("sweep.json") else {}
    every = [Planned(p.spec.run_id, p.spec.tokens, cost(p.spec)) for p in sweep.runs]
    record["planned"] = [asdict(run) for run in every]
    asked = [spec.run_id for spec in todo]
    place.write_json("sweep.json", previous | record)
    if todo:
        wait_for_owners(place, todo)
        from sweeps import tuner  # Ray is imported only when something is to be trained

        started = time.time()
        # What `sweeps status` reads while the runs are trained.
        place.write_json("sweep.json", previous | record | {"training": {"began": started, "runs": asked}})
        with Progress(Watcher(place, sweep.name, every, asked, started)):
            held = tuner.execute(
                todo,
                folders,
                {i: where(sweep.storage.corpus, t) for i, t in texts.items()},
                sweep.resources,
                lanes or sweep.resources.lanes,
            )
        record["training"] = {
            "began": started,
            "seconds": time.time() - started,
            "lanes": held,
            "runs": asked,
        }
    return finish(place, sweep, asked=todo, began=began, record=previous | record, texts=texts)


def dry_run(sweep: Sweep, *, results: str | None = None) -> int:
    """Says what `run` would train, trains and writes nothing."""
    place = Folder.open(f"{results or sweep.storage.results}/{sweep.name}")
    check_results(place, sweep)
    todo = longest_first(p.spec for p in sweep.runs if not RunFolder(place / "runs" / p.spec.run_id).is_done(p.spec))
    tokens = sum(s.tokens for s in todo)
    print(f"{sweep.name}: {len(todo)} of {len(sweep.runs)} runs to train, {tokens / 1e6:,.1f} M tokens -> {place}")
    for spec in todo:
        print(f"  {spec.run_id:<40} {spec.tokens / 1e6:>12,.2f} M tokens")
    return 0


def build_corpora(sweep: Sweep) -> dict[str, Corpus]:
    """The corpus of each run, by run id; what is already built is only opened."""
    built: dict[Any, Corpus] = {}
    found = {}
    for planned in sweep.runs:
        spec = planned.spec
        key = (spec.corpus, spec.model.vocab, spec.model.sequence)
        if key not in built:
            built[key] = build(*key, sweep.storage.corpus, progress=lambda line: print(line, flush=True))
            built[key].verify()
        found[spec.run_id] = built[key]
    return found


def where(root: str, text: Corpus) -> str:
    """What workers find a corpus by: its path, or its URI where it was published under one."""
    return f"{root.rstrip('/')}/{text.folder.name}" if "://" in root else str(text.folder)


def check_results(place: Folder, sweep: Sweep) -> None:
    """Refuses a results folder of another schema version, or one that holds other specs under our ids."""
    if place.exists("sweep.json"):
        found = place.read_json("sweep.json").get("schema_version")
        if found != tables.SCHEMA_VERSION:
            raise UserError(
                "a results folder of another schema version",
                file=f"{place}/sweep.json",
                key="schema_version",
                found=found,
                expected=f"{tables.SCHEMA_VERSION}; move the folder away or name another",
            )
    for planned in sweep.runs:
        RunFolder(place / "runs" / planned.spec.run_id).is_done(planned.spec)


def wait_for_owners(place: Folder, runs: list[RunSpec]) -> None:
    """Waits until no living process of this machine trains one of `runs`: a killed driver's workers take a moment.

    Raises:
        UserError: one is still at work after STALE seconds, so another driver is.
    """
    deadline = time.time() + STALE
    while True:
        alive = [s.run_id for s in runs if _alive(RunFolder(place / "runs" / s.run_id).status())]
        if not alive:
            return
        if time.time() > deadline:
            raise UserError(
                "another driver is at work on this results folder",
                file=place,
                key="status",
                found=f"running: {', '.join(alive[:3])}",
                expected="no living owner; stop it, or wait",
            )
        time.sleep(0.5)


def _alive(status: dict[str, Any]) -> bool:
    """Whether the owner of a running run is at work: on this host by its process, on another by its last word."""
    if status["state"] != "running":
        return False
    if status["owner"]["host"] != socket.gethostname():
        return time.time() - status["updated"] < STALE
    try:
        # A process that began after the last word was written has only inherited the number.
        return psutil.Process(status["owner"]["pid"]).create_time() <= status["updated"]
    except psutil.NoSuchProcess:
        return False


def finish(
    place: Folder,
    sweep: Sweep,
    *,
    asked: list[RunSpec],
    began: float,
    record: dict[str, Any],
    texts: dict[str, Corpus],
) -> int:
    """Joins the tables, writes sweep.json and prints what there is. Returns the exit code."""
    states = {p.spec.run_id: RunFolder(place / "runs" / p.spec.run_id).status() for p in sweep.runs}
    done = {p.spec.run_id: list(p.studies) for p in sweep.runs if states[p.spec.run_id]["state"] == "done"}
    failed = [{"run_id": i, "reason": s["reason"]} for i, s in states.items() if s["state"] == "failed"]
    trained = sum(spec.run_id in done for spec in asked)
    left = len(states) - len(done) - len(failed)
    tables.collect(place, sweep.name, done)
    seconds = time.time() - began
    made = {"created": time.strftime("%Y-%m-%d %H:%M:%S %z"), "seconds": seconds, **provenance()} if asked else {}
    text = next(iter(texts.values()))
    place.write_json(
        "sweep.json",
        record
        | made
        | {
            "corpus": {
                "name": text.manifest.spec.name,
                "licence": text.manifest.licence,
                "folder": text.folder.name,
                "unique_tokens": text.unique_tokens,
                "overlap_13gram": text.manifest.overlap.share,
            },
            "failed": failed,
        },
    )
    print(
        f"{sweep.name}: {len(done)} of {len(sweep.runs)} runs done, {trained} trained now, {len(failed)} failed, {seconds:.0f} s -> {place}"
    )
    for entry in failed:
        print(f"  failed: {entry['run_id']}: {entry['reason']}")
    if left:
        print(f"  stopped with {left} runs left; the same command goes on from here")
        return 130
    return 1 if failed else 0
