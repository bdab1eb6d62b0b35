"""The driver: Ray Tune over the runs of a sweep, each trial one Ray Train run.

Tune gets the next run from a Queue and reports its outcome to it. Tune's own folder is discarded; the state of each run
is in the run's folder.
"""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.tune
from ray.tune.execution import class_cache
from ray.tune.search import Searcher

from repro import local_ray, ray_address
from repro.errors import UserError
from repro.resources import Resources
from sweeps.devices import Cluster
from sweeps.queue import Queue
from sweeps.trial import KEY, Trial, assignment_of

# Set before a worker process starts. bench/laptop.py measures the malloc settings: no effect at 1,024 tokens per step.
WORKER_ENV = {
    "OMP_NUM_THREADS": "1",  # two lanes on two cores lose more to thread contention than they gain
    "MALLOC_MMAP_THRESHOLD_": str(2**30),  # keep a step's buffers instead of returning them to the kernel
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**28),
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",  # Train's controller polls its workers every 2 s by default
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
DRIVER_ENV = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # sweeps.run handles it
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # the queue never returns more runs than fit
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

# Tune would copy these from the driver into a runtime_env, which Ray logs; nodes have roles or variables of their own.
SECRETS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"}
class_cache.ENV_VARS_TO_PROPAGATE = class_cache.ENV_VARS_TO_PROPAGATE - SECRETS


RAY_UNITS = 10_000  # of a resource: Ray counts in these


class _Ask(Searcher):
    """Tune's search algorithm: suggests the queue's next run, nothing for now, or the end."""

    def __init__(self, queue: Queue):
        super().__init__()
        self.queue = queue

    def suggest(self, trial_id: str) -> Any:
        if self.queue.is_over:
            return Searcher.FINISHED
        job = self.queue.next()
        return None if job is None else {KEY: job.assignment.to_dict()}

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict, **spec: Any) -> bool:
        return True

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """Handled by the callback, which gets more information."""

    def save(self, checkpoint_path: str) -> None:
        """Tune's state is never restored."""

    restore = save


class _Tell(ray.tune.Callback):
    """Reports the outcome of a trial to the queue."""

    def __init__(self, queue: Queue):
        self.queue = queue

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.queue.ended(assignment_of(trial.config).spec.run_id, trial.last_result["outcome"])

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        written = Path(trial.error_file or "")
        text = written.read_text().strip() if written.is_file() else ""
        self.queue.ended(assignment_of(trial.config).spec.run_id, "died", text or "it ended without an error message")


def own_resources(config: dict[str, Any]) -> ray.tune.PlacementGroupFactory:
    """Resources of a trial's own process; a worker group has its own in addition.

    Ray fills a GPU with runs that share it before it takes the next one.
    """
    given = assignment_of(config)
    if given.resources.workers > 1:
        return ray.tune.PlacementGroupFactory([{"CPU": 0.01}])
    if not given.gpu:
        return ray.tune.PlacementGroupFactory([{"CPU": 1.0}])
    # Rounded down, because Ray rounds to its unit and seven of .1429 don't fit one GPU.
    gpu = math.floor(given.resources.devices(gpu=True) * RAY_UNITS) / RAY_UNITS
    return ray.tune.PlacementGroupFactory([{"CPU": 1.0, "GPU": gpu}])


def execute(queue: Queue) -> None:
    """Trains the queue's runs in its order; returns when the queue is over and no run is in progress."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as scratch:
        ray.tune.Tuner(
            ray.tune.with_resources(Trial, own_resources),
            tune_config=ray.tune.TuneConfig(search_alg=_Ask(queue), num_samples=-1, reuse_actors=True),
            run_config=ray.tune.RunConfig(
                name="tune",
                storage_path=scratch,
                verbose=0,
                callbacks=[_Tell(queue)],
                checkpoint_config=ray.tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        ).fit()


def connect(lanes: int | None, workers: int) -> None:
    """Joins the cluster at RAY_ADDRESS, or starts a local one that ends with this process.

    Args:
        lanes: number of concurrent runs on this machine; None for as many as it has cores for.
        workers: maximum number of workers of any run.
    """
    if ray.is_initialized():
        return
    os.environ.update(WORKER_ENV | DRIVER_ENV)
    address = ray_address.given()
    if address is None:
        os.environ.pop(ray_address.KEY, None)  # blank or "local", which Ray would take for a cluster's address
    else:
        ray_address.check(address)
        os.environ[ray_address.KEY] = address
        env: dict[str, Any] = {"env_vars": dict(WORKER_ENV)}
        if "://" not in address:
            # Otherwise Train's cleaner, which releases the resources of a dead driver's worker groups, searches its host
            # for a cluster and crashes if it finds two.
            env["env_vars"]["RAY_ADDRESS"] = address
        if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:  # otherwise the job has shipped the checkout
            env |= {"working_dir": str(local_ray.ROOT), "excludes": ["results", "data", ".venv", ".git"]}
        ray.init(runtime_env=env, log_to_driver=False)
        return
    lanes = lanes or max(1, (os.cpu_count() or 1) // workers)
    local_ray.start(lanes * workers + (1 if workers > 1 else 0))


def cluster(gpu: bool, groups: bool) -> Cluster | None:
    """The joined cluster as a planner's Cluster: its GPUs, or its cores as devices of type cpu.

    None if its GPUs aren't of one type that Ray knows.
    """
    if not gpu:
        cores = max(1, devices(gpu, groups))
        return Cluster(cores, "cpu", cores)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]
    types = {key.removeprefix("accelerator_type:") for node in nodes for key in node if key.startswith("accelerator_")}
    if len(types) != 1:
        return None
    per_node = min(int(node["GPU"]) for node in nodes)
    return Cluster(per_node * len(nodes), types.pop(), per_node)


def has_gpus(resources: Resources) -> bool:
    """Whether runs train on GPUs of the joined cluster.

    Raises:
        UserError: they should, but it has none.
    """
    gpu = resources.device != "cpu" and bool(ray.cluster_resources().get("GPU"))
    if resources.device == "cuda" and not gpu:
        raise UserError("no GPU in this cluster", key="resources.device", found="cuda", expected="cpu or auto")
    return gpu


def devices(gpu: bool, groups: bool) -> int:
    """GPUs, or cores, currently available to runs; with worker groups one core is reserved for their heads."""
    count = int(ray.cluster_resources().get("GPU" if gpu else "CPU", 0))
    return count if gpu or not groups else max(0, count - 1)
