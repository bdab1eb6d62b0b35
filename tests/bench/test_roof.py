"""The bounds of the plan's speed: what is counted, against hand and against the assumed speeds of the committed sweeps."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import pytest

from bench import roof
from bench.count import Setting, micro_batch
from repro.spec import ModelSpec
from repro.training import hardware
from sweeps.devices import Cluster
from sweeps.forecast import model_sizes
from sweeps.grid import Sweep, expand

SWEEPS = Path(__file__).parents[2] / "sweeps"
SMALL = ModelSpec(d_model=64, layers=3, heads=4, mlp=160, vocab=512, sequence=32)


@cache
def sweep(name: str) -> Sweep:
    return expand(SWEEPS / f"{name}.yaml")


def test_products_are_counted_by_hand_eager_and_compiled() -> None:
    """2 FLOPs for a weight and a token forward, 4 backward; attention's whole square, 4 and 10 for a pair and a width."""
    for compiled in (False, True):
        kernels = micro_batch(SMALL, 8, Setting("bf16", documents=True, compiled=compiled)).kernels
        of_kind = {
            kind: sum(k.flops * n for k, n in kernels.items() if k.kind == kind) for kind in ("matmul", "attention")
        }
        assert of_kind == {"matmul": 6 * SMALL.shape.prunable * 8 * 32, "attention": 14 * 3 * 8 * 32 * 32 * 64}
        assert sum(n for k, n in kernels.items() if k.kind == "attention") == 2 * SMALL.layers


def test_compiling_fuses_what_an_eager_model_reads_and_writes_again() -> None:
    counted = [micro_batch(SMALL, 8, Setting("bf16", documents=True, compiled=one)) for one in (False, True)]
    eager, fused = (sum(k.bytes * n for k, n in one.kernels.items() if k.kind == "elementwise") for one in counted)
    assert 0.1 < fused / eager < 0.5
    assert sum(counted[1].kernels.values()) < 0.5 * sum(counted[0].kernels.values())


def test_only_the_model_as_written_makes_a_mask_and_waits_for_it() -> None:
    ours, plain = (micro_batch(SMALL, 2, Setting("bf16", True, compiled=False, plain=one)) for one in (False, True))
    assert (ours.has_mask, ours.waits) == (False, 0)
    assert (plain.has_mask, plain.waits) == (True, 1)


def test_the_sizes_of_the_paper_as_written(capsys: pytest.CaptureFixture) -> None:
    """By hand, from shares of peak and bandwidth of another reading: 12 to 14, 17 to 19 and 22 to 25% are likely."""
    assert roof.main([str(SWEEPS / "paper.yaml"), "--as-written", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {size.split("-")[0] for size in found} == {"58m", "162m", "468m"}
    assert {one["attention_mask"] for one in found.values()} == {True}
    assert {one["head_dim"] % 8 for one in found.values()} == {0}
    likely = [found[size]["mfu_likely"] for size in ("58m", "162m", "468m")]
    assert likely == pytest.approx([0.13, 0.18, 0.22], abs=0.01)
    for one in found.values():
        assert one["mfu_assumed"] > one["mfu_bound"]  # the plan assumes the model that there is now


def test_a_sweep_of_cpus_or_of_an_unknown_device_is_refused(capsys: pytest.CaptureFixture) -> None:
    assert roof.main([str(SWEEPS / "quick.yaml"), "--device", "cpu"]) == 2
    assert "no such device" in capsys.readouterr().err


FULL = [
    ("gpu", "10m", "fp32"),
    *(("gpu", size, "bf16") for size in ("1m", "3m", "3m-p80")),
    *(("paper", size, "bf16") for size in ("58m", "162m", "468m", "162m-p80")),
    *(("pairs-1b", size, "bf16") for size in ("1b", "1b-p80")),
]


@pytest.mark.parametrize(
    ("name", "size", "precision"),
    [("gpu", "10m", "bf16"), *(pytest.param(*one, marks=pytest.mark.full) for one in FULL)],
)
def test_no_gpu_is_assumed_faster_than_its_bound(name: str, size: str, precision: Literal["fp32", "bf16"]) -> None:
    spec = replace(model_sizes(sweep(name))[size], precision=precision)
    for device, gpu in hardware.GPUS.items():
        if gpu.bf16 if precision == "bf16" else gpu.fp32:
            found = roof.roof(spec, sweep(name).resources, Cluster(1, device))
            assert not found.attention_mask
            assert found.mfu_assumed < found.mfu_bound, device
            if device == "H100" and precision == "bf16" and "-" not in size:
                assert found.mfu_assumed == pytest.approx(found.mfu_likely, abs=0.006)
