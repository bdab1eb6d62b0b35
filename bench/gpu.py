"""What a GPU does against what the plan says of it: tokens a second of each size of a sweep.

    python -m bench.gpu                                     the sizes of sweeps/gpu.yaml, one run at a time
    python -m bench.gpu --beside 2                          two runs at once on the GPU, their rates summed
    python -m bench.gpu sweeps/paper.yaml --out h100.json   writes what `--measured` of sweeps plan and run reads

Each size trains its first sparse run's model, batch and precision with the sweep's resources on one worker, past the
run's last event, on text that a package ships, in a process of its own: WARM steps, then SECONDS of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from repro.console.guard import guarded
from repro.corpus import build
from repro.errors import UserError
from repro.spec import CorpusSpec, EvalSpec, RunSpec
from repro.training import hardware
from repro.training.provenance import provenance
from sweeps.devices import Cluster, Throughput, flops_per_token
from sweeps.grid import Sweep, expand

WARM, SECONDS = 20, 20.0
TEXT = CorpusSpec("package", "botocore", heldout_fraction=0.1)


@guarded
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default="sweeps/gpu.yaml", help="sweep YAML (default: %(default)s)")
    parser.add_argument("--beside", type=int, choices=range(1, 9), default=1, help="runs at once (default: 1)")
    parser.add_argument("--out", type=Path, help="file for --measured of the plan")
    parser.add_argument("--size", help=argparse.SUPPRESS)
    parser.add_argument("--text", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.size:
        sweep = expand(given.file)
        print(json.dumps(_measure(sweep, _sizes(sweep)[given.size], given.text)))
        return 0
    device, sweep, made = _device(), expand(given.file), provenance()
    print(json.dumps({"hardware": made["hardware"], "versions": made["versions"], "commit": made["commit"]}))
    print(f"{given.file} on one {device}, {given.beside} run(s) at once; thousands of tokens a second")
    print(f"  {'size':<8} {'plan':>8} {'MFU':>6} {'measured':>9} {'MFU':>6}  measured / plan")
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as text:
        for size, spec in _sizes(sweep).items():
            build(TEXT, spec.model.vocab, spec.model.sequence, text)
            found[size] = sum(_at_once(given, size, text))
            flops, peak = flops_per_token(spec.model), hardware.peak_flops(device, spec.precision) or float("nan")
            planned = Throughput.assumed(Cluster(1, device), spec.precision).rate(spec) / flops
            print(
                f"  {size:<8} {planned / 1e3:8,.0f} {planned * flops / peak:6.1%} {found[size] / 1e3:9,.0f} "
                f"{found[size] * flops / peak:6.1%}  {found[size] / planned:.2f}",
                flush=True,
            )
    if given.out:
        given.out.write_text(json.dumps({"tokens_per_second": {device.lower(): found}}, indent=1) + "\n")
    return 0


def _device() -> str:
    """The name of repro.training.hardware's tables that this machine's GPU has."""
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            "this needs a GPU", found="none here", expected="a machine with one; python -m bench.train times a CPU"
        )
    name = torch.cuda.get_device_name()
    known = next((known for known in hardware.PEAKS if known in name), None)
    if known is None:
        raise UserError(
            "the plan knows nothing of this GPU", found=name, expected=f"one of: {', '.join(hardware.PEAKS)}"
        )
    return known


def _sizes(sweep: Sweep) -> dict[str, RunSpec]:
    """The first sparse run of each size."""
    found: dict[str, RunSpec] = {}
    for run in sweep.runs:
        if run.spec.pruning.sparsity:
            found.setdefault(run.spec.size, run.spec)
    return found


def _at_once(given: argparse.Namespace, size: str, text: str) -> list[float]:
    """Tokens a second of each of several processes, over the same seconds."""
    words = [sys.executable, "-m", "bench.gpu", given.file, "--size", size, "--text", text]
    env = os.environ | {"OMP_NUM_THREADS": "1"}  # as in a lane
    processes = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        for _ in range(given.beside)
    ]
    try:
        for process in processes:
            if not any(line == "ready\n" for line in process.stdout or ()):
                raise UserError(f"{size}: the process that trains it ended early", expected="its error is above")
        for process in processes:
            print("go", file=process.stdin, flush=True)
        said = [process.communicate()[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [json.loads(lines.splitlines()[-1]) for lines in said]


def _measure(sweep: Sweep, spec: RunSpec, text: str) -> float:
    """Tokens a second of this process; it says "ready" once warm, and begins when told to."""
    from bench.variants import VARIANTS, Bench
    from repro.training.distributed import device_of, process_group

    resources = replace(sweep.resources.of(spec), workers=1)
    spec = replace(spec, corpus=TEXT, repeat=True, evaluation=EvalSpec(2, 1))
    device = device_of(resources)
    bench = Bench(spec, build(TEXT, spec.model.vocab, spec.model.sequence, text), resources, device, [])
    with process_group(device):
        step = VARIANTS["ours, masked"](bench)
        for number in range(WARM):
            step(number)
        bench.settle()
        print("ready", flush=True)
        sys.stdin.readline()
        began, number = time.perf_counter(), WARM
        while time.perf_counter() - began < SECONDS:
            step(number)
            number += 1
        bench.settle()
        return (number - WARM) * spec.tokens_per_step / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
