"""`sweeps run`: build the text, train what is not done, join the tables, say what failed."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from repro import paths, ray_address, tables
from repro.console.terminal import one_line
from repro.corpus import Corpus, build
from repro.errors import UserError
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder, Stamps
from repro.training import trackers
from repro.training.assignment import Assignment, CheckpointRef
from repro.training.provenance import provenance
from sweeps import assign_workers, sweep_json
from sweeps.grid import Sweep
from sweeps.interrupt import Interrupt
from sweeps.placement import longest_first
from sweeps.progress import Progress
from sweeps.queue import Job, Queue
from sweeps.status import Watcher


def run(sweep: Sweep, *, results: str | None = None, lanes: int | None = None) -> int:
    """Trains every run of the sweep that is not done; returns the exit code: 1 when a run failed, 130 when stopped.

    Several drivers may do so at one time on one results folder: each run is trained by one of them.

    Args:
        sweep: the expanded file.
        results: root of the results folders, instead of the sweep's own.
        lanes: runs at once, instead of the sweep's own.

    Raises:
        UserError: before anything is trained: the corpus, the results folder or a run in it doesn't fit.
        KeyboardInterrupt: the second Ctrl-C.
    """
    began = time.time()
    trackers.require(sweep.resources.trackers, sweep.file)
    sweep = replace(sweep, storage=sweep.storage.expanded(sweep.file))
    place = Folder.open(uri := _uri(sweep, results), key="storage.results" if results is None else "--results")
    is_left = check_results(place, sweep)
    place.check_writable(key="storage.results" if results is None else "--results")
    if is_left:
        ray_address.check()
    place.tidy()
    texts = build_corpora(sweep)
    for planned in sweep.runs:
        spec = planned.spec
        texts[spec.run_id].check(spec.text_tokens, spec.repeat, spec.run_id)
        texts[spec.run_id].check_heldout(spec.evaluation.blocks, spec.evaluation.block_sequences)
    todo = longest_first(p.spec for p in sweep.runs if not _is_done(place, p.spec, texts[p.spec.run_id].hash))
    record: dict[str, Any] = {"schema_version": tables.SCHEMA_VERSION, "name": sweep.name, "file": str(sweep.file)}
    record["share_prefix"] = sweep.share_prefix
    record["lr_schedules"] = sorted({p.spec.optimizer.lr_schedule for p in sweep.runs})
    previous = sweep_json.read(place)
    trained: set[str] = set()
    if todo:
        places = {run_id: (where(sweep.storage.corpus, text), text.hash) for run_id, text in texts.items()}
        trained, done = _train(sweep, todo, uri, places, lanes or sweep.resources.lanes, previous | record)
        record |= done
    return finish(place, sweep, trained=trained, began=began, record=previous | record, texts=texts)


def _train(
    sweep: Sweep,
    todo: list[RunSpec],
    uri: str,
    corpora: dict[str, tuple[str, str]],
    lanes: int | None,
    record: dict[str, Any],
) -> tuple[set[str], dict[str, Any]]:
    """Trains `todo`. Returns the ids of what this driver has trained, and what sweep.json is to say of it.

    corpora: path or URI of each run's, and its hash.
    """
    from sweeps import tuner  # Ray and torch are imported only when something is to be trained
    from sweeps.parents import Parents

    place = Folder.open(uri)
    tuner.connect(lanes, max(sweep.resources.of(spec).workers for spec in todo))
    gpu = tuner.has_gpus(sweep.resources)
    sizes = assign_workers.of(sweep, todo, tuner.cluster(gpu))
    most = max(own.workers for own in sizes.resources.values())
    if lanes is None and most > (there := tuner.devices(gpu, most > 1)):
        raise UserError(
            "a run that this cluster can't hold",
            key="resources.workers",
            found=f"{most} workers",
            expected=f"at most {there}; or lanes, how many runs at once, where the cluster grows on demand",
        )
    driver, began, asked = secrets.token_hex(4), time.time(), [spec.run_id for spec in todo]
    said = {"planned": [asdict(one) for one in sizes.planned], "promised": sizes.promised}
    before = Stamps({run_id: RunFolder(place / "runs" / run_id) for run_id in asked})
    # What `sweeps status` reads while the runs are trained.
    training = {"began": began, "runs": asked, "before": before.at}
    place.write_json(sweep_json.FILE, record | said | {"training": training})

    parents = Parents(place / "runs", sweep, todo, before)

    def job(spec: RunSpec) -> Job:
        run_id, fork = spec.run_id, parents.forks.forks.get(spec.run_id)
        corpus, corpus_hash = corpora[run_id]
        assignment = Assignment(
            spec=spec,
            resources=sizes.resources[run_id],
            folder=f"{uri}/runs/{run_id}",
            corpus=corpus,
            corpus_hash=corpus_hash,
            fork=None if fork is None else CheckpointRef(f"{uri}/runs/{fork.parent}", fork.step),
            forks=parents.forks.steps(run_id),
            parent=None if spec.parent is None else f"{uri}/runs/{spec.parent.run_id}",
            children=parents.children(spec),
            results=uri,
            driver=driver,
            over=None,
            gpu=gpu,
        )
        return Job(assignment, RunFolder(place / "runs" / run_id), partial(parents.waits, run_id))

    with Interrupt(place, driver) as interrupt:
        queue = Queue(
            map(job, parents.ordered(todo)),
            devices=partial(tuner.devices, gpu, most > 1),
            lanes=lanes,
            stop=interrupt.asked,
            before=before,
            say=partial(print, flush=True),
        )
        with Progress(Watcher(place, sweep.name, sizes.planned, asked, began, before.at)):
            tuner.execute(queue)
    parents.tidy([spec.run_id for spec in todo if RunFolder(place / "runs" / spec.run_id).status()["state"] != "done"])
    training |= {"seconds": time.time() - began, "lanes": queue.most}
    return queue.trained, said | {"training": training}


def _is_done(place: Folder, spec: RunSpec, corpus_hash: str) -> bool:
    """Whether a run is done, on this text. One that says so and isn't is said, and marked, so that it is taken up again."""
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
        print(f"{spec.run_id}: {one_line(fault)}; it goes on from its last checkpoint", flush=True)
    return False


def _uri(sweep: Sweep, results: str | None) -> str:
    """Where the results of a sweep lie: a URI, or an absolute path."""
    root = paths.expand(results, key="--results") if results is not None else sweep.storage.expanded(sweep.file).results
    if not root.strip():
        raise UserError("no place named", key="storage.results", found=repr(root), expected="a folder or a URI")
    return f"{root.rstrip('/') if '://' in root else os.path.abspath(root)}/{sweep.name}"


def dry_run(sweep: Sweep, *, results: str | None = None) -> int:
    """Says what `run` would train, trains and writes nothing."""
    place = Folder.open(_uri(sweep, results))
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
    if "://" not in root:
        return str(text.folder)
    return f"{paths.expand(root, key='storage.corpus').rstrip('/')}/{text.folder.name}"


def check_results(place: Folder, sweep: Sweep) -> bool:
    """Whether a run is left to train; refuses a folder of another schema version, or of other specs under our ids."""
    if record := sweep_json.read(place):
        found = record.get("schema_version")
        if found not in tables.READABLE:
            raise UserError(
                "a results folder of another schema version",
                file=f"{place}/sweep.json",
                key="schema_version",
                found=found,
                expected=f"{' or '.join(map(str, tables.READABLE))}; move the folder away or name another",
            )
    is_left = False
    for planned in sweep.runs:
        run = RunFolder(place / "runs" / planned.spec.run_id)
        begun = run.begun_with(planned.spec) is not None
        is_left = is_left or not begun or run.status()["state"] != "done"
    return is_left


def finish(
    place: Folder,
    sweep: Sweep,
    *,
    trained: set[str],
    began: float,
    record: dict[str, Any],
    texts: dict[str, Corpus],
) -> int:
    """Joins the tables, writes sweep.json and prints what there is. Returns the exit code."""
    states = {p.spec.run_id: RunFolder(place / "runs" / p.spec.run_id).status() for p in sweep.runs}
    done = {p.spec.run_id: list(p.studies) for p in sweep.runs if states[p.spec.run_id]["state"] == "done"}
    failed = [{"run_id": i, "reason": s["reason"]} for i, s in states.items() if s["state"] == "failed"]
    left = len(states) - len(done) - len(failed)
    tables.collect(place, sweep.name, done)
    seconds = time.time() - began
    made = {"created": time.strftime("%Y-%m-%d %H:%M:%S %z"), "seconds": seconds, **provenance()} if trained else {}
    text = next(iter(texts.values()))
    place.write_json(
        sweep_json.FILE,
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
    if left:
        print(f"  stopped with {left} runs left; the same command goes on from here")
        return 130
    return 1 if failed else 0
