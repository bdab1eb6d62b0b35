"""The driver: Ray Tune over the runs of a sweep, each trial one Ray Train run.

Tune's own folder is thrown away; what has been trained, failed or is left stands in the runs' folders.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.tune
from ray.train.torch import TorchTrainer

from repro.errors import UserError
from repro.resources import Resources
from repro.run_folder import RunFolder
from repro.spec import RunSpec
from repro.storage import Folder

ROOT = Path(__file__).resolve().parent.parent
# Set before a worker process starts. bench/laptop.py measures the malloc settings: nothing at 1,024 tokens a step.
WORKER_ENV = {
    "OMP_NUM_THREADS": "1",  # two lanes on two cores lose more to each other's threads than they gain
    "MALLOC_MMAP_THRESHOLD_": str(2**30),  # keep a step's buffers instead of giving them back to the kernel
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**28),
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",  # Train's controller looks at its workers every 2 s by default
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
DRIVER_ENV = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class Trial(ray.tune.Trainable):
    """One run a trial. The process is used again for the next one: start-up and imports are paid once.

    With one worker Ray Train runs the loop in this very process (its local mode); with more it makes a
    worker group. Either way the loop is `repro.train.train_loop`.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self.trial = config["trial"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.trial = new_config["trial"]
        return True

    def step(self) -> dict[str, Any]:
        train_one(self.trial)
        return {"done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        return None

    def load_checkpoint(self, checkpoint: Any) -> None:
        return None


def train_one(trial: dict[str, Any]) -> None:
    """Trains one run through Ray Train. A run that can't end well is in its status; a dead worker raises."""
    run, resources = RunFolder(Folder.open(trial["folder"])), dict(trial["resources"])
    workers = resources["workers"]
    while True:
        began = time.time()
        trainer = TorchTrainer(
            _loop,
            train_loop_config=trial | {"resources": resources},
            scaling_config=ray.train.ScalingConfig(num_workers=0 if workers == 1 else workers, use_gpu=trial["gpu"]),
            run_config=ray.train.RunConfig(name=trial["spec"]["run_id"], storage_path=tempfile.gettempdir()),
        )
        try:
            trainer.fit()
            return
        except Exception:
            # Ray Train wraps what the loop raised: whether the run failed for good or its worker did is in its status.
            status = run.status()
            if status["state"] != "failed" or status["updated"] < began:
                raise
        smaller = status.get("try_micro_batch")  # out of memory; one worker alone has tried all of them itself
        if smaller is None or workers == 1 or resources["out_of_memory"] == "fail":
            return
        resources["micro_batch"] = smaller


def _loop(trial: dict[str, Any]) -> None:
    from repro.train import train_loop

    train_loop(trial)


def execute(
    runs: list[RunSpec], folders: dict[str, str], corpora: dict[str, str], resources: Resources, lanes: int | None
) -> int:
    """Trains `runs` in the given order, as many at once as there are lanes; returns when none is left.

    Args:
        runs: what to train; the first are started first.
        folders: URI of each run's folder, by run id.
        corpora: path or URI of each run's corpus, by run id.
        resources: how each run is executed.
        lanes: runs at once; None is as many as the machine or the cluster holds.

    Returns:
        How many runs were trained at once.
    """
    connect(lanes, resources)
    gpu = resources.device != "cpu" and bool(ray.cluster_resources().get("GPU"))
    if resources.device == "cuda" and not gpu:
        raise UserError("no GPU in this cluster", key="resources.device", found="cuda", expected="cpu or auto")
    lanes = lanes or slots(resources, gpu)
    trials = {
        s.run_id: {
            "spec": s.to_dict(),
            "folder": folders[s.run_id],
            "corpus": corpora[s.run_id],
            "resources": asdict(resources),
            "gpu": gpu,
        }
        for s in runs
    }
    own: dict[str, float] = {"cpu": 1} if resources.workers == 1 else {"cpu": 0.01}
    if resources.workers == 1 and gpu:
        own["gpu"] = 1
    with tempfile.TemporaryDirectory(prefix="sweep-") as scratch:
        tuner = ray.tune.Tuner(
            ray.tune.with_resources(Trial, own),
            param_space={"trial": ray.tune.grid_search(list(trials.values()))},
            tune_config=ray.tune.TuneConfig(reuse_actors=True, max_concurrent_trials=lanes),
            run_config=ray.tune.RunConfig(
                name="tune",
                storage_path=scratch,
                verbose=0,
                failure_config=ray.tune.FailureConfig(max_failures=resources.retries),
                checkpoint_config=ray.tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        )
        results = tuner.fit()
    for result in (results[i] for i in range(len(results))):
        if result.error is not None and result.config is not None:
            reason = f"its worker died {resources.retries + 1} times: {str(result.error).splitlines()[-1]}"
            RunFolder(Folder.open(result.config["trial"]["folder"])).progress("failed", reason=reason)
    return lanes


def connect(lanes: int | None, resources: Resources) -> None:
    """Joins the cluster of RAY_ADDRESS, or starts one of this machine's cores that ends with this process."""
    if ray.is_initialized():
        return
    os.environ.update(WORKER_ENV | DRIVER_ENV)
    if os.environ.get("RAY_ADDRESS"):
        env: dict[str, Any] = {"env_vars": WORKER_ENV}
        if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:  # else the job has brought the checkout along
            env |= {"working_dir": str(ROOT), "excludes": ["results", "data", ".venv", ".git"]}
        ray.init(runtime_env=env, log_to_driver=False)
        return
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    lanes = lanes or max(1, (os.cpu_count() or 1) // resources.workers)
    cores = lanes * resources.workers + (1 if resources.workers > 1 else 0)
    ray.init(address="local", num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)


def slots(resources: Resources, gpu: bool) -> int:
    """How many runs the cluster holds at once."""
    return max(1, int(ray.cluster_resources().get("GPU" if gpu else "CPU", 1) // resources.workers))
