"""How fast one run's model trains in this process: dense and masked steps, kernels, memory."""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import EvalSpec, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import device_memory
from repro.training.distributed import deterministic, process_group
from repro.training.run import RunInProgress
from repro.training.train import engine_of
from repro.training.trainer import Trainer

FEW = 3  # steps that are made at least, to warm up and in each timed stretch
STRETCH = 0.5  # seconds between two looks at the clock, for which the host waits for the device
# Part of an operator's name -> what computes attention; the first that matches counts.
ATTENTION = {
    "cudnn_attention": "cuDNN",
    "flash_attention_for_cpu": "flash (CPU)",
    "flash_attention": "flash",
    "efficient_attention": "memory-efficient",
    "attention_math": "math",
    "varlen_attn": "variable length",
}
# What a kernel or an operator does, by its name, the first that matches; all others are elementwise or reductions.
KINDS = {
    "attention": r"flash|fmha|sdpa|attention|attn",
    "matmul": r"gemm|nvjet|cutlass|gemv|aten::(add)?mm$|aten::b(add)?bmm$|aten::bmm$",
    "communication": r"nccl|gloo|c10d",
    "copies": r"^mem(cpy|set)|aten::copy_$",
}
REST = "elementwise"
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
READS = "aten::_local_scalar_dense"


@dataclass(frozen=True)
class Trace:
    """What some steps did.

    attention: names of the kernels that computed attention, from ATTENTION. shares: share of the device's time by kind of
    kernel (of the operators' own time on a CPU). waits: how often the host waited for the device in a step; reads: how
    often it read a number from it.
    """

    attention: tuple[str, ...]
    shares: dict[str, float]
    waits: float
    reads: float


def trace(step: Callable[[], None], steps: int, device: torch.device) -> Trace:
    """Profiles `steps` calls of `step`."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as seen:
        for _ in range(steps):
            step()
    averages: Any = seen.key_averages()
    attention, times, counts = set(), Counter[str](), Counter[str]()
    for one in averages:
        counts[one.key] += one.count
        if one.key.startswith(("aten::", "torch_attn::")):
            attention |= set([name for part, name in ATTENTION.items() if part in one.key][:1])
        if on_gpu and one.device_type == DeviceType.CUDA and not one.is_user_annotation:  # which spans kernels
            times[kind_of(one.key)] += one.self_device_time_total
        elif not on_gpu and one.key.startswith("aten::"):
            times[kind_of(one.key)] += one.self_cpu_time_total
    total = sum(times.values()) or 1
    # The profiler itself waits once for the device, at its end.
    waits = max(0, sum(counts[name] for name in WAITS) - 1) if on_gpu else 0
    shares = {name: times[name] / total for name in (*KINDS, REST) if times[name]}
    return Trace(tuple(sorted(attention)), shares, waits / steps, counts[READS] / steps)


def settle(device: torch.device) -> None:
    """Waits until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def kind_of(name: str) -> str:
    """The kind of a kernel or an operator: one of KINDS, or REST."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name, re.IGNORECASE)), REST)


@dataclass(frozen=True)
class Speed:
    """What one process measured.

    tokens_per_second: of masked steps; dense_tokens_per_second: of the same model without masks. masked_over_dense: ratio
    of the seconds of a step. steps: timed steps in all. first_step: seconds of the first step, compiling included.
    event: seconds of the pruning event. peak_bytes: memory at its peak, on a GPU the allocator's, on a CPU the process's.
    trace: of masked steps.
    """

    tokens_per_second: float
    dense_tokens_per_second: float
    masked_over_dense: float
    steps: int
    first_step: float
    event: float
    peak_bytes: int
    trace: Trace


def measured_spec(spec: RunSpec, text: Corpus) -> RunSpec:
    """The run on such a text, which it repeats, with next to no evaluation."""
    return replace(spec, corpus=text.manifest.spec, repeat=True, evaluation=EvalSpec(2, 1))


@contextmanager
def training(spec: RunSpec, text: Corpus, resources: Resources) -> Iterator[Trainer]:
    """A trainer of one worker before its first step, in a folder that is thrown away."""
    resources = replace(resources.of(spec), workers=1, spike=None)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        run = RunInProgress(spec, RunFolder(Folder.open(scratch)), text, resources)
        with (
            deterministic(resources.deterministic),
            process_group(run.device),
            closing(engine_of(run)) as engine,
            closing((trainer := Trainer(run, engine, time.perf_counter())).batches),
        ):
            trainer.resume()
            yield trainer


def measure(
    spec: RunSpec,
    text: Corpus,
    resources: Resources,
    *,
    warm: int,
    seconds: float,
    limit: float,
    ready: Callable[[], None] = lambda: None,
) -> Speed:
    """Trains past the run's last event and times dense steps, masked ones, and dense ones again, so that a drift cancels.

    Args:
        text: see `bench.texts.text_of`.
        resources: the sweep's; one worker is measured.
        warm: steps before the first that is timed; fewer, but at least FEW, if they take over a third of `limit`.
        seconds: of the dense steps together, and of the masked ones; less if `limit` leaves less, but at least FEW steps each time.
        limit: seconds for the whole, about.
        ready: called between warming up and timing.
    """
    began = time.perf_counter()
    with training(spec, text, resources) as trainer:
        steps = Steps(trainer)
        first_step = steps.timed(0, least=1)[1]
        while steps.made < warm and (steps.made < FEW or time.perf_counter() - began < limit / 3):
            steps.timed(0, least=1)
        ready()
        left = limit - (time.perf_counter() - began)
        stretch = min(seconds, max(0.0, 0.4 * left))
        before = steps.timed(stretch / 2)
        event = steps.prune()
        steps.timed(0, least=1)
        masked = steps.timed(stretch)
        seen = trace(steps.one, 1 if masked[1] / masked[0] > STRETCH else FEW, trainer.engine.device)
        trainer.engine.mask_gradients(())
        after = steps.timed(stretch / 2)
        peak = device_memory.peak(trainer.engine.device)
    dense = before[0] + after[0], before[1] + after[1]
    rate, dense_rate = (count * spec.tokens_per_step / taken for count, taken in (masked, dense))
    return Speed(rate, dense_rate, dense_rate / rate, masked[0] + dense[0], first_step, event, peak, seen)


class Steps:
    """The steps of a trainer past its last event, one after the other."""

    def __init__(self, trainer: Trainer):
        self.trainer, self.made = trainer, 0
        self.device = trainer.engine.device
        schedule = trainer.spec.schedule
        self._first = schedule.end_step + 1 if schedule.events else 0
        self._count = schedule.total_steps - self._first

    def one(self) -> None:
        self.trainer.step(self._first + self.made % self._count)
        self.made += 1

    def timed(self, seconds: float, least: int = FEW) -> tuple[int, float]:
        """Makes steps for so many seconds, at least `least`. Returns their number and the seconds that they took."""
        settle(self.device)
        began, count, at_once, looked = time.perf_counter(), 0, 1, 0.0
        while count < least or looked < seconds:
            for _ in range(at_once):
                self.one()
            settle(self.device)
            count, now = count + at_once, time.perf_counter() - began
            # The host runs ahead of a GPU, but must not run far past the end.
            at_once = max(1, min(round(STRETCH * count / now), 1000)) if seconds else 1
            looked = now
        return count, looked

    def prune(self) -> float:
        """Applies what the masks of the last event are, in one event. Returns the seconds that it took."""
        settle(self.device)
        began = time.perf_counter()
        last, step = self.trainer.spec.schedule.events - 1, self._first
        self.trainer.event(last, step, self.trainer.batches.of(step))
        settle(self.device)
        return time.perf_counter() - began
