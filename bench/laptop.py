"""Tokens a second a lane on this machine, and where a step's time goes.

python -m bench.laptop [SWEEP]      steps of the sweep's middle model, variants interleaved
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from bench import Step, interleaved, made_on, parser
from repro.spec import RunSpec
from sweeps import grid
from sweeps.tuner import WORKER_ENV

ROUNDS, WARM = 120, 20
SWEEP = "ours, masked, stage 0, compiled"  # as laptop.yaml trains it, where there is a compiler


def main() -> int:
    options = parser(__doc__)
    options.add_argument("sweep", nargs="?", default="sweeps/laptop.yaml")
    options.add_argument("--lane", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.lane:
        print(json.dumps(_lane(_middle(given.sweep))))
        return 0
    print(made_on())
    spec = _middle(given.sweep)
    print(
        f"{spec.run_id}: {spec.model.shape.prunable:,} prunable, {spec.tokens_per_step:,} tokens a step, median of {ROUNDS} steps, interleaved"
    )
    alone = _lanes(given.sweep, 1, WORKER_ENV)[0]
    base = alone["plain PyTorch"]
    for name, ms in alone.items():
        print(f"  {name:<28} {ms:7.2f} ms  {spec.tokens_per_step / ms:6.0f} ktok/s  x{ms / base:.2f} of plain")
    bare = _lanes(given.sweep, 1, {"OMP_NUM_THREADS": "1"})[0]
    both = _lanes(given.sweep, 2, WORKER_ENV)
    print(
        f"  without the malloc settings  x{bare[SWEEP] / alone[SWEEP]:.2f}; two lanes side by side x{statistics.mean(b[SWEEP] for b in both) / alone[SWEEP]:.2f}"
    )
    return 0


def _middle(sweep: str) -> RunSpec:
    runs = [p.spec for p in grid.expand(sweep).runs if p.spec.pruning.sparsity > 0]
    return sorted(runs, key=lambda s: s.model.shape.prunable)[len(runs) // 2]


def _lanes(sweep: str, count: int, env: dict[str, str]) -> list[dict[str, float]]:
    command = [sys.executable, "-m", "bench.laptop", sweep, "--lane"]
    kept = {k: v for k, v in os.environ.items() if k not in WORKER_ENV}
    started = [
        subprocess.Popen(command, env=kept | env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(count)
    ]
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]


def _lane(spec: RunSpec) -> dict[str, float]:
    """Median ms a step of each variant, and of each part of the last one."""
    import torch

    from repro.pruning.pruner import Pruner
    from repro.training import model
    from repro.training.batch import Batch
    from repro.training.compiling import compile_if
    from repro.training.distributed import process_group
    from repro.training.zero import DeepSpeedEngine

    cpu, o = torch.device("cpu"), spec.optimizer
    tokens = torch.randint(
        0, spec.model.vocab, (o.batch, spec.model.sequence + 1), generator=torch.Generator().manual_seed(0)
    )
    batch = Batch(tokens[:, :-1], tokens[:, 1:], None, None, o.batch * spec.model.sequence)
    parts: dict[str, list[float]] = {"  forward": [], "  backward": [], "  update": []}

    def loss_of(logits: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    def plain() -> Step:
        network = model.build(spec.model, 0)
        adamw = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)

        def step(_: int) -> None:
            loss_of(network(input_ids=tokens[:, :-1], use_cache=False).logits).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), o.clip)
            adamw.step()
            adamw.zero_grad()

        return step

    def ours(stage: int, masked: bool, compiled: bool = False) -> Step:
        network = model.build(spec.model, 0)
        compile_if(compiled, network, cpu)
        engine = DeepSpeedEngine(
            network, o, stage=stage, precision="fp32", micro_batch=o.batch, accumulation=1, device=cpu
        )
        if masked:
            Pruner(engine, spec).event(spec.schedule.events - 1)

        def step(_: int) -> None:
            marks = [time.perf_counter()]
            loss = engine.losses(batch)[0] / batch.bearing
            marks.append(time.perf_counter())
            engine.backward(loss)
            marks.append(time.perf_counter())
            engine.step()
            marks.append(time.perf_counter())
            if compiled:
                for name, a, b in zip(parts, marks, marks[1:], strict=False):
                    parts[name].append(1e3 * (b - a))

        return step

    with process_group(cpu):
        variants = {
            "plain PyTorch": plain(),
            "DeepSpeed stage 0, dense": ours(0, False),
            "DeepSpeed stage 1, dense": ours(1, False),
            "DeepSpeed stage 2, dense": ours(2, False),
            "ours, masked, stage 1": ours(1, True),
            "ours, masked, stage 0": ours(0, True),
            SWEEP: ours(0, True, compiled=True),
        }
        times = interleaved(variants, WARM, ROUNDS)
    times |= {name: seen[WARM:] for name, seen in parts.items()}
    return {name: statistics.median(seen) for name, seen in times.items()}


if __name__ == "__main__":
    sys.exit(main())
