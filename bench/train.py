"""What masking costs: one training step in six ways, interleaved in one process.

    python -m bench.train                        about 1 M prunable weights, on a GPU if there is one
    python -m bench.train --stage 3 --rounds 40

Every round makes one step of each variant, in a random order; figures are medians over the rounds, ratios medians
of the rounds' own ratios with a bootstrap interval. Peak memory is that of a process of its own for each variant,
less what it held before the model was built (on a GPU: the allocator's peak during its steps). Speed, MFU and kernels at
a sweep's sizes: `python -m bench.gpu`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in a lane

import numpy as np
import psutil
import torch

from bench import interleaved, made_on, parser
from bench.variants import VARIANTS, Bench
from repro.corpus import build
from repro.resources import Resources
from repro.spec import CorpusSpec, EvalSpec, ModelSpec, OptimizerSpec, PruningSpec, RunSpec
from repro.training import device_memory
from repro.training.distributed import device_of, process_group

WARM = 10
MILLION = ModelSpec(128, 3, 4, 512, 2048, 128)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options.add_argument("--stage", type=int, choices=(0, 1, 2, 3), default=1, help="ZeRO stage (default: 1)")
    options.add_argument("--rounds", type=int, default=100, help="timed rounds (default: 100)")
    options.add_argument("--memory", metavar="VARIANT", help=argparse.SUPPRESS)
    given = options.parse_args()
    resources = Resources(device=given.device, zero_stage=given.stage)
    device = device_of(resources)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        if given.memory:
            print(json.dumps(_memory(_bench(resources, device, scratch), given.memory)))
            return 0
        print(made_on())
        _compare(_bench(resources, device, scratch), given)
    return 0


def _bench(resources: Resources, device: torch.device, scratch: str) -> Bench:
    text = CorpusSpec("package", "pydoc", heldout_fraction=0.1)
    pruning = PruningSpec(0.8, start=0.0, end=0.1, interval=4, shape="geometric")
    optimizer, evaluation = OptimizerSpec(1e-3, batch=8), EvalSpec(2, 1)
    spec = RunSpec("bench", "", "", MILLION, text, optimizer, pruning, 1000, precision="fp32", evaluation=evaluation)
    return Bench(spec, build(text, MILLION.vocab, MILLION.sequence, scratch), resources, device, [])


def _compare(bench: Bench, given: argparse.Namespace) -> None:
    spec = bench.spec
    print(
        f"{spec.model.shape.prunable:,} prunable weights, {spec.tokens_per_step:,} tokens a step, {spec.precision}, ZeRO "
        f"{given.stage}, {bench.device}, {torch.get_num_threads()} thread(s); median of {given.rounds} rounds, interleaved"
    )
    with process_group(bench.device):
        steps = {name: make(bench) for name, make in VARIANTS.items()}
        times = interleaved(steps, WARM, given.rounds, bench.settle)
    for name, ms in times.items():
        memory = _in_a_process_of_its_own(name, given)
        print(
            f"  {name:<30} {statistics.median(ms):8.2f} ms   x{_ratio(ms, times['plain PyTorch, dense'])} of plain   {memory / 2**20:7.0f} MB"
        )
    dense, masked = times["ours, dense"], times["ours, masked"]
    print(f"  masked over dense, ours          x{_ratio(masked, dense)}")
    print(f"  ours dense over DeepSpeed dense  x{_ratio(dense, times['DeepSpeed, dense'])}")
    event = statistics.median(bench.events)
    print(
        f"  an event: median {event:.1f} ms of {len(bench.events)}, {event / statistics.median(masked):.2f} steps "
        f"(longest {max(bench.events):.1f} ms)"
    )
    from repro.pruning.masks import Masks

    shapes = {"all": torch.Size([spec.model.shape.prunable])}
    bits = 8 * Masks(shapes, bench.device).buffer.numel() / spec.model.shape.prunable
    print(f"  masks at rest: {bits:.4f} bits a weight")


def _ratio(of: list[float], to: list[float]) -> str:
    """Median of the rounds' ratios [95% bootstrap]."""
    ratios = np.array(of) / np.array(to)
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return f"{np.median(ratios):.3f} [{low:.3f}, {high:.3f}]"


def _in_a_process_of_its_own(name: str, given: argparse.Namespace) -> int:
    options = [f"--device={given.device}", f"--stage={given.stage}"]
    words = [sys.executable, "-m", "bench.train", "--memory", name, *options]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return int(json.loads(done.stdout.splitlines()[-1]))


def _memory(bench: Bench, name: str) -> int:
    """Bytes that a variant takes at its peak, in this fresh process."""
    with process_group(bench.device):
        before = 0 if bench.device.type == "cuda" else psutil.Process().memory_info().rss
        step = VARIANTS[name](bench)
        for number in range(5):
            step(number)
        bench.settle()
        return device_memory.peak(bench.device) - before


if __name__ == "__main__":
    sys.exit(main())
