"""What a GPU does against what the plan says of it: tokens a second of each size of a sweep, dense and masked.

    python -m bench.gpu                                     the sizes of sweeps/gpu.yaml, in at most ten minutes
    python -m bench.gpu --sizes 1m,10m --seconds 60         two of them, each timed for a minute dense and a minute masked
    python -m bench.gpu --beside 2                          one run at a time, then two at once, their rates summed
    python -m bench.gpu sweeps/paper.yaml --out h100.json   writes what `--measured` of sweeps plan and run reads
    python -m bench.gpu --cpu                               the sizes of sweeps/quick.yaml on a CPU, to try the command

Each size trains its first sparse run's model, batch, packing and precision with the sweep's resources on one worker, past
the run's last event, on text that a package ships, in a process of its own: steps to warm up, dense steps, and steps under
the masks of the last event. Kernels, waits and shares of time are those of a profile of masked steps.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import made_on, parser
from bench.apart import Request, at_once, sizes
from repro.console.guard import guarded
from repro.console.options import real, whole
from repro.errors import UserError
from repro.spec import RunSpec
from repro.training import hardware
from sweeps.devices import Cluster
from sweeps.grid import Sweep, expand
from sweeps.memory import fitting_micro_batch, worker_of
from sweeps.throughput import Throughput, flops_per_token

HEAD = f"  {'size':<8} {'plan':>8} {'MFU':>6} {'measured':>9} {'MFU':>6}  of plan  masked/dense  GB (plan)"
# Seconds within which a process begins, compiles and is timed on a GPU, the first time and once its code is cached. On an
# H200 the first step of models of 6, 12 and 24 layers took 34, 39 and 56 s, and they were warm 55, 63 and 89 s after their
# processes began, all at once.
COLD, CACHED = 80.0, 55.0
MARGIN = 0.8  # share of a size's time within which its process plans to end; it is killed at the whole of it


@dataclass(frozen=True)
class Wanted:
    """What is measured: the options of the command. device: its name in repro.training.hardware's tables, or cpu."""

    file: str
    device: str
    sizes: str | None = None
    beside: int = 1
    warm: int = 20
    seconds: float = 20.0
    minutes: float = 10.0


@guarded
def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("file", nargs="?", help="sweep YAML (default: sweeps/gpu.yaml; with --cpu: sweeps/quick.yaml)")
    options.add_argument("--sizes", help="some of the sweep's sizes, with commas between (default: all)")
    options.add_argument("--warm", type=whole(1, 10_000), default=20, metavar="STEPS", help="(default: %(default)s)")
    seconds, minutes = real("a number of seconds", 0.01, 3600), real("a number of minutes", 0.01, 600)
    stretch = "of each of the two timed stretches of a size, if the minutes allow it (default: %(default)s)"
    options.add_argument("--seconds", type=seconds, default=20.0, help=stretch)
    divided = "for everything; divided over the sizes (default: %(default)s)"
    options.add_argument("--minutes", type=minutes, default=10.0, help=divided)
    beside = "then measure N runs at once, in what time is left"
    options.add_argument("--beside", type=whole(1, 8), default=1, metavar="N", help=beside)
    options.add_argument("--out", type=Path, metavar="FILE", help="file for --measured")
    options.add_argument("--cpu", action="store_true", help="measure the CPU")
    given = options.parse_args(argv)
    device = "cpu" if given.cpu else device_name()
    file = given.file or ("sweeps/quick.yaml" if given.cpu else "sweeps/gpu.yaml")
    sizes(expand(file), given.sizes)
    wanted = Wanted(file, device, given.sizes, given.beside, given.warm, given.seconds, given.minutes)
    print(made_on())
    print(f"{file} on one {device}; thousands of tokens a second, masked; {wanted.minutes:g} minutes at most")
    print(HEAD)
    found = []
    for one in measure(wanted):
        found.append(one)
        print("\n".join(lines(one)), flush=True)
    if given.out:
        given.out.write_text(json.dumps(for_measured(found), indent=1) + "\n")
    return 1 if any(one["error"] for one in found) else 0


def measure(wanted: Wanted, texts: Path | None = None) -> Iterator[dict[str, Any]]:
    """Measures each size by itself, and then, if wanted, several runs of each at once.

    Args:
        texts: folder for the texts, which stay there; None: one that is thrown away.

    Yields:
        size, device, runs (how many at once), error (null, or why there is nothing else: a size whose time is too short to
        compile it is left out), tokens_per_second (summed over runs), mfu (null without a known peak), speeds (the `bench.speed.Speed` of each run), and by the plan:
        planned_tokens_per_second, planned_mfu (null without a plan) and planned_bytes.
    """
    sweep, end = expand(wanted.file), time.monotonic() + 60 * wanted.minutes
    chosen = sizes(sweep, wanted.sizes)
    todo = [(size, runs) for runs in sorted({1, wanted.beside}) for size in chosen]
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        for number, (size, runs) in enumerate(todo):
            # Compiled models are cached, so that runs beside each other begin sooner than the first by itself.
            weights = [3 if count == 1 else 1 for _, count in todo[number:]]
            left = end - time.monotonic()
            least = 0.0 if wanted.device == "cpu" else COLD if runs == 1 else CACHED
            limit = max(left * weights[0] / sum(weights), least)  # less would measure nothing of any
            yield _size(wanted, sweep, chosen[size], runs, str(texts or scratch), limit if limit <= left else None)


def _size(wanted: Wanted, sweep: Sweep, spec: RunSpec, runs: int, texts: str, limit: float | None) -> dict[str, Any]:
    """One result of `measure`. limit: seconds for it; None: too few are left."""
    from bench.texts import text_of

    began, flops = time.monotonic(), flops_per_token(spec.model)
    resources = replace(sweep.resources.of(spec), workers=1)
    cluster = None if wanted.device == "cpu" else Cluster(1, wanted.device)
    planned = None if cluster is None else Throughput.assumed(cluster, spec.precision).rate(spec) / flops
    micro = fitting_micro_batch(spec, resources, 1, cluster.memory_bytes if cluster else None) or 1
    memory = worker_of(spec, resources, micro)
    keys: dict[str, Any] = {"micro_batch": micro} | ({"device": "cpu"} if cluster is None else {})

    def mfu(rate: float | None) -> float | None:
        return None if rate is None else hardware.mfu(rate * flops, 1.0, 1, wanted.device, spec.precision)

    found: dict[str, Any] = {
        "size": spec.size,
        "device": wanted.device.lower().replace(" ", "-"),
        "runs": runs,
        "planned_tokens_per_second": planned,
        "planned_mfu": mfu(planned),
        "planned_bytes": memory.total,
        "error": None,
    }
    if limit is None:
        return found | {"error": "no time was left"}
    try:
        text_of(spec, texts, "cpu" if cluster is None else "cuda")
        left = limit - (time.monotonic() - began)
        asked = Request(wanted.file, spec.size, texts, wanted.warm, wanted.seconds, MARGIN * left, resources=keys)
        speeds = at_once(asked, runs, left)
    except UserError as error:
        return found | {"error": str(error)}
    rate = sum(one["tokens_per_second"] for one in speeds)
    return found | {"tokens_per_second": rate, "mfu": mfu(rate), "speeds": speeds}


def lines(one: dict[str, Any]) -> Iterator[str]:
    """One result of `measure` as lines of text."""
    if one["error"]:
        yield f"  {one['size']:<8} {one['runs']} at once: {one['error']}"
        return
    if one["runs"] > 1:
        yield f"  {one['size']:<8} {one['runs']} at once: {one['tokens_per_second'] / 1e3:,.0f} together, MFU {_share(one['mfu'])}"
        return
    [speed] = one["speeds"]
    planned, seen = one["planned_tokens_per_second"], speed["trace"]
    yield (
        f"  {one['size']:<8} {'' if planned is None else f'{planned / 1e3:,.0f}':>8} {_share(one['planned_mfu']):>6} "
        f"{one['tokens_per_second'] / 1e3:>9,.0f} {_share(one['mfu']):>6}  "
        f"{'' if planned is None else format(one['tokens_per_second'] / planned, '.2f'):>7}  "
        f"{speed['masked_over_dense']:>12.3f}  {speed['peak_bytes'] / 1e9:.2f} ({one['planned_bytes'] / 1e9:.2f})"
    )
    parts = ", ".join(f"{kind} {value:.0%}" for kind, value in seen["shares"].items())
    yield (
        f"           attention: {', '.join(seen['attention']) or 'no kernel of its own'}; time: {parts}; a step waits for the "
        f"device {seen['waits']:.3g} times and reads {seen['reads']:.3g} numbers; first step {speed['first_step']:.1f} s, "
        f"an event {speed['event']:.2f} s"
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def for_measured(found: list[dict[str, Any]]) -> dict[str, Any]:
    """What `--measured` reads, of results of `measure`."""
    speeds: dict[str, dict[str, float]] = {}
    for one in found:
        if one["error"] is None and one["runs"] == 1:
            speeds.setdefault(one["device"], {})[one["size"]] = one["tokens_per_second"]
    beside: dict[str, dict[str, dict[str, float]]] = {}
    for one in found:
        if one["error"] is None and one["runs"] > 1 and one["size"] in speeds.get(one["device"], {}):
            of_size = beside.setdefault(one["device"], {}).setdefault(one["size"], {})
            of_size[str(one["runs"])] = one["tokens_per_second"]
    return {"tokens_per_second": speeds} | ({"beside": beside} if beside else {})


def device_name() -> str:
    """The name of repro.training.hardware's tables that this machine's GPU has."""
    import torch

    if not torch.cuda.is_available():
        raise UserError("this needs a GPU", found="none here", expected="a machine with one; --cpu tries the command")
    name = torch.cuda.get_device_name()
    known = next((known for known in hardware.GPUS if known in name), None)
    if known is None:
        expected = f"one of: {', '.join(hardware.GPUS)}"
        raise UserError("the plan knows nothing of this GPU", found=name, expected=expected)
    return known


if __name__ == "__main__":
    sys.exit(main())
