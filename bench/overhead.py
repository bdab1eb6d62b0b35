"""What the orchestration adds to a run.

    python -m bench.overhead --runs 12            three ways to launch the same tiny runs, one after the other
    python -m bench.overhead --results RESULTS    in a sweep that was trained in one go, from its files

A worker group a run is what Ray Train does by default; a fresh actor a run is Tune without reuse; ours reuses
the actor and runs the loop inside it. Overhead a run is (wall * lanes - seconds inside the loops) / runs, with
Ray already started.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.tune
from ray.train.torch import TorchTrainer

from bench import made_on, parser
from repro import tables
from repro.corpus import Corpus, build
from repro.resources import Resources
from repro.spec import CorpusSpec, EvalSpec, ModelSpec, OptimizerSpec, PruningSpec, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder, Stamps
from repro.training.assignment import Assignment
from sweeps import trial, tuner
from sweeps.queue import Job, Queue

LANES = 2
MODEL, TEXT = ModelSpec(8, 1, 1, 32, 300, 32), CorpusSpec("package", "pydoc", heldout_fraction=0.1)
Launch = Callable[[list[Assignment]], object]


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=12, help="tiny runs a way (default: 12)")
    options.add_argument("--results", help="results folder of a finished sweep; nothing is trained then")
    given = options.parse_args()
    if given.results:
        print(_of_sweep(Folder.open(given.results)))
        return 0
    count = given.runs
    print(made_on())
    with tempfile.TemporaryDirectory() as scratch:
        text = build(TEXT, MODEL.vocab, MODEL.sequence, scratch)
        tuner.connect(LANES, 1)
        for name, launch, runs in (
            ("a Train worker group a run", _worker_groups, min(count, 4)),
            ("a fresh actor a run", _fresh_actors, count),
            ("ours: reused actors, local mode", _driver, count),
        ):
            assigned = [_assignment(i, Path(scratch) / name, text) for i in range(runs)]
            began = time.time()
            launch(assigned)
            wall = time.time() - began
            rows = [tables.read(Folder.open(one.folder), "run.parquet").to_pylist()[0] for one in assigned]
            inside = sum(row["seconds"] for row in rows)
            print(
                f"  {name:<34} {runs} runs on {LANES} lanes: wall {wall:6.1f} s, in loops {inside:5.1f} s, overhead {(wall * LANES - inside) / runs:5.2f} s a run"
            )
    return 0


def _of_sweep(results: Folder) -> str:
    """One line: overhead a run, the gap between two runs of a process, and what a process takes to its first step."""
    record = results.read_json("sweep.json")["training"]
    by_process: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    inside = 0.0
    for run_id in record["runs"]:
        [row] = tables.read(results / "runs" / run_id, "run.parquet").to_pylist()
        status = (results / "runs" / run_id).read_json("status.json")
        inside += row["seconds"]
        by_process.setdefault(tuple(status["owner"].values()), []).append((status["began"], status["updated"]))
    spans = [sorted(s) for s in by_process.values()]
    between = [later[0] - sooner[1] for s in spans for sooner, later in pairwise(s)]
    count, whole = len(record["runs"]), record["seconds"] * record["lanes"]
    return (
        f"{count} runs: (wall * lanes - seconds inside the loops) / runs = {(whole - inside) / count:.2f} s; between two runs of a "
        f"process, median {statistics.median(between):.2f} s; until a process begins its first run "
        f"{statistics.median(s[0][0] - record['began'] for s in spans):.1f} s"
    )


def _assignment(seed: int, root: Path, text: Corpus) -> Assignment:
    pruning, evaluation = PruningSpec(0.8, interval=4, shape="geometric"), EvalSpec(4, 2)
    optimizer, run_id = OptimizerSpec(1e-2, 4), f"tiny-seed{seed}"
    spec = RunSpec(run_id, "4k", "short", MODEL, TEXT, optimizer, pruning, 100, seed=seed, evaluation=evaluation)
    return Assignment(
        spec=spec,
        resources=Resources(device="cpu"),
        folder=str(root / spec.run_id),
        corpus=str(text.folder),
        corpus_hash=text.hash,
        fork=None,
        forks=(),
        parent=None,
        children=(),
        results=str(root),
        driver="bench",
        over=None,
        gpu=False,
    )


def _worker_groups(given: list[Assignment]) -> None:
    @ray.remote(num_cpus=0)
    def one(mapping: dict[str, Any]) -> None:
        scaling = ray.train.ScalingConfig(num_workers=1, resources_per_worker={"CPU": 1})
        with tempfile.TemporaryDirectory(prefix="run-") as scratch:
            run_config = ray.train.RunConfig(name="train", storage_path=scratch)
            TorchTrainer(trial._loop, train_loop_config=mapping, scaling_config=scaling, run_config=run_config).fit()

    waiting = [assignment.to_dict() for assignment in given]
    running = [one.remote(waiting.pop()) for _ in range(min(LANES, len(waiting)))]
    while running:
        done, running = ray.wait(running)
        ray.get(done)
        if waiting:
            running.append(one.remote(waiting.pop()))


def _fresh_actors(given: list[Assignment]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        ray.tune.Tuner(
            ray.tune.with_resources(trial.Trial, {"cpu": 1}),
            param_space={trial.KEY: ray.tune.grid_search([one.to_dict() for one in given])},
            tune_config=ray.tune.TuneConfig(reuse_actors=False, max_concurrent_trials=LANES),
            run_config=ray.tune.RunConfig(name="tune", storage_path=scratch, verbose=0),
        ).fit()


def _driver(given: list[Assignment]) -> None:
    jobs = [Job(one, RunFolder(Folder.open(one.folder))) for one in given]
    queue = Queue(jobs, devices=lambda: LANES, lanes=LANES, stop=bool, before=Stamps({}))
    tuner.execute(queue)


if __name__ == "__main__":
    sys.exit(main())
