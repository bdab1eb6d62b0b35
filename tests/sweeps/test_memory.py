"""The memory that the plan forecasts, against a peak counted by allocation on tensors without memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch._inductor.memory import prepare_planning_info
from torch._inductor.scheduler import Scheduler
from torch._inductor.virtualized import V
from torch.utils._ordered_set import OrderedSet

from bench.count import Setting, compile_graphs, loss_of, network_of
from repro.resources import Resources
from repro.spec import ModelSpec, RunSpec
from repro.training import loss, zero
from sweeps import memory
from sweeps.forecast import model_sizes
from sweeps.grid import expand
from tests.repro.training.counting import Allocated

Precision = Literal["fp32", "bf16"]
SIZES = model_sizes(expand(Path(__file__).parents[2] / "sweeps" / "paper.yaml"))


def eager_peak(model: ModelSpec, rows: int, precision: str) -> float:
    """Peak bytes of a second micro-batch beside the weights and the first one's gradients."""
    setting = Setting(precision, documents=True, compiled=False)
    with network_of(model, setting) as network, torch.device("meta"), Allocated() as allocated:
        loss_of(network, rows, model.sequence, setting).backward()
        before, allocated.peak = allocated.now, 0
        loss_of(network, rows, model.sequence, setting).backward()
    return allocated.peak - before


def compiled_peak(model: ModelSpec, rows: int, precision: str) -> float:
    """Peak bytes of the forward and the backward graph, by Inductor's own lifetimes of buffers."""
    peaks = []

    def look(scheduler: Scheduler, is_backward: bool) -> None:
        inputs, outputs = OrderedSet(V.graph.graph_inputs), OrderedSet(V.graph.get_output_names())
        peak, _ = prepare_planning_info(
            scheduler.nodes, scheduler.name_to_buf, scheduler.name_to_fused_node, inputs, outputs
        )
        peaks.append(peak)

    compile_graphs(model, rows, Setting(precision, documents=True), look)
    return float(max(peaks))


def forecast(spec: RunSpec, rows: int, precision: Precision, compiled: bool) -> float:
    run = replace(spec, precision=precision)
    return memory.worker_of(run, Resources(workers=8, zero_stage=2, compile=compiled), rows).activations


def test_the_sizes_of_buffers_are_those_of_training() -> None:
    assert (memory.BUCKET, memory.CHUNK) == (zero.BUCKET, loss.CHUNK)


CASES = [*product(SIZES, (1, 16), ("bf16", "fp32"))]
SAMPLE = [("58m", 1, "bf16"), ("58m", 16, "fp32"), ("162m", 16, "bf16"), ("162m-p80", 1, "fp32")]


@pytest.mark.parametrize(
    ("size", "rows", "precision"),
    [*SAMPLE, *(pytest.param(*case, marks=pytest.mark.full) for case in CASES if case not in SAMPLE)],
)
def test_an_eager_pass_takes_what_is_forecast(size: str, rows: int, precision: Precision) -> None:
    spec = SIZES[size]
    counted = eager_peak(spec.model, rows, precision)
    assert forecast(spec, rows, precision, compiled=False) == pytest.approx(counted, rel=0.03)


@pytest.mark.parametrize(
    ("size", "rows", "precision"),
    [
        ("162m-p80", 2, "bf16"),
        *(
            pytest.param(size, rows, precision, marks=pytest.mark.full)
            for size in ("58m", "162m", "468m", "162m-p80")
            for rows in (1, 16)
            for precision in ("bf16", "fp32")
        ),
    ],
)
def test_a_compiled_pass_takes_what_is_forecast(size: str, rows: int, precision: Precision) -> None:
    """Counted for one and two layers: each further layer takes what the second does."""
    spec = SIZES[size]
    few = [replace(spec.model, layers=layers) for layers in (1, 2)]
    one, two = (compiled_peak(model, rows, precision) for model in few)
    counted = one + (spec.model.layers - 1) * (two - one)
    assert forecast(spec, rows, precision, compiled=True) == pytest.approx(counted, rel=0.03)
