"""Speeds measured in processes of their own, several at once if wanted: `bench.speed` for one size of a sweep.

The process is `python -m bench.apart REQUEST`; it says "ready" once warm, and goes on when told to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from repro.errors import UserError
from repro.spec import RunSpec
from sweeps.grid import Sweep, expand

ENV = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # as in a lane


@dataclass(frozen=True)
class Request:
    """What a process measures.

    file, size: the first sparse run of this size of a sweep. packing: another than the sweep's. resources: keys of its
    resources with other values. texts: folder of the texts. warm, seconds, limit: see `bench.speed.measure`.
    """

    file: str
    size: str
    texts: str
    warm: int
    seconds: float
    limit: float
    packing: Literal["concatenate", "documents"] | None = None
    resources: dict[str, Any] = field(default_factory=dict)


def sizes(sweep: Sweep, wanted: str | None = None) -> dict[str, RunSpec]:
    """The first sparse run of each wanted size, by size. wanted: names with commas between; None: all.

    Raises:
        UserError: a size that the sweep doesn't have.
    """
    every: dict[str, RunSpec] = {}
    for spec in sweep.specs:
        if spec.pruning.sparsity:
            every.setdefault(spec.size, spec)
    names = list(every) if wanted is None else [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in every:
            what = "no such size with a sparse run"
            expected = f"some of: {', '.join(every)}"
            raise UserError(what, file=sweep.file, key="--sizes", found=repr(name), expected=expected)
    return {name: every[name] for name in names}


def at_once(request: Request, count: int, limit: float) -> list[dict[str, Any]]:
    """The `bench.speed.Speed` of each of several processes, all warm before any is timed.

    Raises:
        UserError: one of them failed, or they took longer than `limit` seconds.
    """
    words = [sys.executable, "-m", "bench.apart", json.dumps(asdict(request))]
    is_late = threading.Event()
    with tempfile.TemporaryFile("w+") as complaints:
        pipe, env = subprocess.PIPE, os.environ | ENV
        processes = [
            subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=complaints, text=True, env=env)
            for _ in range(count)
        ]

        def end() -> None:
            is_late.set()
            for process in processes:
                process.kill()

        late = threading.Timer(limit, end)
        late.start()
        try:
            are_ready = all(any(line == "ready\n" for line in process.stdout or ()) for process in processes)
            for process in processes if are_ready else ():
                print("go", file=process.stdin, flush=True)
            said = [process.communicate()[0] for process in processes]
        finally:
            late.cancel()
            for process in processes:
                process.kill()
                process.wait()
        if is_late.is_set() or any(process.returncode for process in processes):
            complaints.seek(0)
            last = [line.strip() for line in complaints if line.strip()][-1:]
            late_by = f"over {limit:.0f} s{'' if are_ready else ', before it was warm'}"
            why = late_by if is_late.is_set() else "".join(last)[:300] or "nothing"
            raise UserError(f"the process that measured {request.size} ended early", found=why)
    return [json.loads(text.splitlines()[-1]) for text in said]


def measured(request: Request, ready: Any = lambda: None) -> dict[str, Any]:
    """The `bench.speed.Speed` that this process measures."""
    from bench import speed
    from bench.texts import text_of
    from repro.training.distributed import device_of

    sweep = expand(request.file)
    spec = sizes(sweep, request.size)[request.size]
    if request.packing:
        spec = replace(spec, corpus=replace(spec.corpus, packing=request.packing))
    resources = replace(sweep.resources.of(spec), workers=1, **request.resources)
    text = text_of(spec, request.texts, device_of(resources).type)
    spec = speed.measured_spec(spec, text)
    made = speed.measure(
        spec, text, resources, warm=request.warm, seconds=request.seconds, limit=request.limit, ready=ready
    )
    return asdict(made)


def main() -> None:
    def ready() -> None:
        print("ready", flush=True)
        sys.stdin.readline()

    print(json.dumps(measured(Request(**json.loads(sys.argv[1])), ready)))


if __name__ == "__main__":
    main()
