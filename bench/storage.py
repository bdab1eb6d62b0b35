"""What a distant store costs the training loop: `python -m bench.storage`.

Trains a small run on an S3 server (moto, in a process of its own) that takes --latency seconds for each request, and counts
the seconds which the training thread spends in calls to the store: for checkpoints, and outside of them. The heartbeat and
the lease make their requests in threads of their own. Prints the cost of a checkpoint, and the share of the loop that it
takes at the default spacing; a large model's bytes come on top, at its bandwidth.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from repro.console.options import real
from repro.resources import Resources
from repro.store.folder import Folder

SPENT = {"checkpoints": 0.0, "outside": 0.0}
CALLS = {"checkpoints": 0, "outside": 0}
METHODS = ("info", "names", "read", "write", "read_json", "delete", "create")


def serve(latency: float, ready: Any) -> None:
    """Serves an S3 bucket until the process is ended; puts the variables by which clients find it."""
    from tests.stores import serving

    with serving() as (store, env):
        store.latency = latency
        ready.put(env)
        threading.Event().wait()


def timed(method: Callable[..., Any], state: dict[str, Any]) -> Callable[..., Any]:
    """A method of Folder that counts the time of its outermost calls in the training thread, while the loop runs."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        if threading.current_thread() is not threading.main_thread() or state["inside"] or not state["loop"]:
            return method(*args, **kwargs)
        state["inside"], began = True, time.perf_counter()
        try:
            return method(*args, **kwargs)
        finally:
            state["inside"] = False
            kind = "checkpoints" if state["saving"] else "outside"
            SPENT[kind] += time.perf_counter() - began
            CALLS[kind] += 1

    return call


def measure(seconds: float, minutes: float) -> dict[str, Any]:
    """Trains for so many seconds with a checkpoint every `minutes`; the loop's seconds and those spent in the store."""
    from repro.corpus import build
    from repro.store.run_folder import Stopped
    from repro.training import train
    from repro.training.trackers import Trackers
    from repro.training.trainer import Trainer
    from sweeps.grid import expand

    state: dict[str, Any] = {"inside": False, "loop": False, "saving": False, "saves": 0, "seconds": 0.0}
    for name in METHODS:
        setattr(Folder, name, timed(getattr(Folder, name), state))
    loop = Trainer._train

    def looped(trainer: Trainer, *args: Any) -> int:
        state["loop"], began = True, time.perf_counter()
        state["end"] = began + seconds
        try:
            return loop(trainer, *args)
        finally:
            state["loop"] = False
            state["seconds"] = time.perf_counter() - began

    def saving(method: Callable[..., None], counts: bool) -> Callable[..., None]:
        def call(*args: Any, **kwargs: Any) -> None:
            state["saving"] = True
            method(*args, **kwargs)
            state["saving"] = False
            state["saves"] += counts and state["loop"]

        return call

    Trainer._train = looped  # type: ignore[method-assign, assignment]
    Trainer._save = saving(Trainer._save, counts=True)  # type: ignore[method-assign]
    Trackers.write = saving(Trackers.write, counts=False)  # type: ignore[method-assign]  # once a checkpoint
    spec = replace(expand("sweeps/quick.yaml").runs[0].spec, dense_steps=100_000, repeat=True)
    with tempfile.TemporaryDirectory() as data:
        text = build(spec.corpus, spec.model.vocab, spec.model.sequence, data)
        try:
            train.train(
                spec,
                Folder.open("s3://sweeps/results/run"),
                text,
                Resources(device="cpu", checkpoint_minutes=minutes),
                signalled=lambda: state["loop"] and time.perf_counter() > state["end"],
            )
        except Stopped as error:
            state["stopped"] = str(error)
    return state


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.storage")
    parser.add_argument("--latency", type=real("seconds"), default=0.1, help="seconds a request takes (default: 0.1)")
    parser.add_argument("--seconds", type=real("seconds"), default=90.0, help="how long to train (default: 90)")
    parser.add_argument("--minutes", type=real("minutes"), default=0.25, help="between checkpoints (default: 0.25)")
    given = parser.parse_args()
    import os

    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    server = context.Process(target=serve, args=(given.latency, ready), daemon=True)
    server.start()
    os.environ |= ready.get()
    os.environ["OMP_NUM_THREADS"] = "1"
    found = measure(given.seconds, given.minutes)
    server.terminate()
    each, apart = SPENT["checkpoints"] / max(1, found["saves"]), 60 * Resources().checkpoint_minutes
    outside = SPENT["outside"] / found["seconds"]
    said = {
        "latency": given.latency,
        "loop_seconds": round(found["seconds"], 1),
        "checkpoints": found["saves"],
        "seconds_a_checkpoint": round(each, 2),
        "calls_a_checkpoint": round(CALLS["checkpoints"] / max(1, found["saves"]), 1),
        "share_outside_checkpoints": round(outside, 5),
        "calls_outside_checkpoints": CALLS["outside"],
        "share_at_default_minutes": round(each / apart + outside, 5),
    }
    print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()
