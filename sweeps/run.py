"""`sweeps run`: builds the corpora, trains the runs that are not done, joins the tables, reports failures."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from repro import ray_address, tables
from repro.console.signals import Heeded
from repro.errors import UserError
from repro.spec import RunSpec
from repro.store import stop
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder, Stamps
from repro.training import trackers
from repro.training.assignment import Assignment, CheckpointRef
from sweeps import assign_workers, corpora, results_folder, sweep_json
from sweeps.grid import Sweep
from sweeps.parents import with_parents
from sweeps.placement import longest_first
from sweeps.queue import Job, Queue
from sweeps.watcher import Progress, Watcher


def run(
    sweep: Sweep,
    *,
    results: str | None = None,
    lanes: int | None = None,
    measured: str | None = None,
    only: Sequence[str] = (),
) -> int:
    """Trains every run of the sweep that is not done; returns the exit code: 1 if a run failed, 130 if stopped.

    Several drivers may share one results folder at the same time; each run is trained by one of them.

    Args:
        results: root of the results folders; overrides the sweep's.
        lanes: number of concurrent runs; overrides the sweep's.
        measured: a measured-throughput file, from which workers, order and predicted times are planned.
        only: ids of the runs to be trained, and the runs that they start from; all runs where empty.

    Raises:
        UserError: before training, if the corpus, the results folder or a run in it doesn't match the sweep.
        KeyboardInterrupt: the second Ctrl-C.
    """
    began, asked = time.time(), with_parents(sweep, only)
    trackers.require(sweep.resources.trackers, sweep.file)
    sweep = replace(sweep, storage=sweep.storage.expanded(sweep.file))
    uri, key = results_folder.uri(sweep, results), "storage.results" if results is None else "--results"
    place = Folder.open(uri, key=key)
    is_left = results_folder.check(place, sweep)
    place.check_writable(key=key)
    if is_left:
        ray_address.check()
    place.tidy()
    texts = corpora.build_all(sweep)
    for text in corpora.warnings(sweep, texts):
        print(f"warning: {text}", flush=True)
    for spec in sweep.specs:
        texts[spec.run_id].check(spec.text_tokens, spec.repeat, spec.run_id)
        texts[spec.run_id].check_heldout(spec.evaluation.blocks, spec.evaluation.block_sequences)
    wanted = [spec for spec in sweep.specs if spec.run_id in asked]
    todo = longest_first(spec for spec in wanted if not results_folder.is_done(place, spec, texts[spec.run_id].hash))
    record: dict[str, Any] = {"schema_version": tables.SCHEMA_VERSION, "name": sweep.name, "file": str(sweep.file)}
    record["share_prefix"] = sweep.share_prefix
    record["lr_schedules"] = sorted({spec.optimizer.lr_schedule for spec in sweep.specs})
    previous = sweep_json.read(place)
    trained: set[str] = set()
    if todo:
        places = {run_id: (corpora.address(sweep.storage.corpus, text), text.hash) for run_id, text in texts.items()}
        trained, done = _train(sweep, todo, uri, places, lanes or sweep.resources.lanes, measured, previous | record)
        record |= done
    record = previous | record
    return results_folder.finish(
        place, sweep, asked=asked, trained=trained, has_begun=bool(todo), began=began, record=record, texts=texts
    )


def _train(
    sweep: Sweep,
    todo: list[RunSpec],
    uri: str,
    texts: dict[str, tuple[str, str]],
    lanes: int | None,
    measured: str | None,
    record: dict[str, Any],
) -> tuple[set[str], dict[str, Any]]:
    """Trains `todo`. Returns the ids of the runs that this driver has trained, and their entries for sweep.json.

    texts: path or URI of each run's corpus, and its hash.
    """
    from sweeps import tuner  # Ray and torch are imported only when something is to be trained
    from sweeps.parents import Parents

    place = Folder.open(uri)
    declared = max(sweep.resources.of(spec).workers for spec in todo)
    tuner.connect(lanes, declared)
    gpu = tuner.has_gpus(sweep.resources)
    sizes = assign_workers.of(sweep, todo, tuner.cluster(gpu, groups=declared > 1), measured)
    most = max(own.workers for own in sizes.resources.values())
    if lanes is None and most > (there := tuner.devices(gpu, most > 1)):
        what = "a run that is too large for this cluster"
        expected = f"at most {there}; or `lanes`, the number of concurrent runs, on a cluster that autoscales"
        raise UserError(what, key="resources.workers", found=f"{most} workers", expected=expected)
    driver, began, asked = secrets.token_hex(4), time.time(), [spec.run_id for spec in todo]
    said = {"planned": [asdict(one) for one in sizes.planned], "promised": sizes.promised}
    before = Stamps({run_id: RunFolder(place / "runs" / run_id) for run_id in asked})
    # `sweeps status` reads this while the runs are trained.
    training = {"began": began, "runs": asked, "before": before.at}
    place.write_json(sweep_json.FILE, record | said | {"training": training})

    parents = Parents(place / "runs", sweep, todo, before)

    def job(spec: RunSpec) -> Job:
        run_id, fork = spec.run_id, parents.forks.forks.get(spec.run_id)
        corpus, corpus_hash = texts[run_id]
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


class Interrupt(Heeded):
    """Context manager for the main thread: the first Ctrl-C, SIGTERM or SIGHUP asks every run of a driver to stop, the second ends it."""

    def __init__(self, results: Folder, driver: str):
        super().__init__("stopping: running runs save a checkpoint first; once more stops now")
        self.results, self.driver = results, driver
        self._told = False

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self._told:
            stop.forget(self.results, self.driver)

    def asked(self) -> bool:
        """Whether to stop; the first call after a signal also notifies the runs."""
        if self.came and not self._told:
            self._told = True
            stop.ask(self.results, self.driver)
        return self.came


def dry_run(sweep: Sweep, *, results: str | None = None, only: Sequence[str] = ()) -> int:
    """Prints what `run` would train; trains and writes nothing."""
    asked = with_parents(sweep, only)
    place = Folder.open(results_folder.uri(sweep, results))
    results_folder.check(place, sweep)
    wanted = [spec for spec in sweep.specs if spec.run_id in asked]
    todo = longest_first(spec for spec in wanted if not RunFolder(place / "runs" / spec.run_id).is_done(spec))
    tokens = sum(s.tokens for s in todo)
    print(f"{sweep.name}: {len(todo)} of {len(sweep.runs)} runs to train, {tokens / 1e6:,.1f} M tokens -> {place}")
    for spec in todo:
        print(f"  {spec.run_id:<40} {spec.tokens / 1e6:>12,.2f} M tokens")
    return 0
