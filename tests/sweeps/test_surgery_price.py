"""The price of surgery: FLOPs are those that a method does, and the hours of a plan count it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torch.utils.flop_counter import FlopCounterMode

from repro.spec import CalibrationSpec, ModelStart, RunSpec, SurgerySpec
from repro.surgery.catalogue import METHODS
from repro.surgery.methods import prune
from sweeps import plan
from sweeps.devices import Cluster
from sweeps.forecast import forecast
from sweeps.grid import expand
from sweeps.surgery_price import SurgeryPrice, _algebra, forward_passes, surgery_price
from tests.repro.surgery.nets import PLAIN, calibration, random_net

SWEEPS = Path(__file__).parents[2] / "sweeps"
SEQUENCES, LENGTH = 6, 12


def starting(spec: RunSpec, surgery: SurgerySpec) -> RunSpec:
    return replace(spec, model=PLAIN).starting_at(ModelStart("0" * 64, "model"), surgery)


@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if one.text])
def test_the_flops_of_products_are_those_that_the_method_does(method: str, make_spec) -> None:
    """Cholesky factors, which torch doesn't count, and what only SparseGPT's columns do are left out."""
    surgery = SurgerySpec(method, 0.25, calibration=CalibrationSpec(SEQUENCES, LENGTH))
    spec = starting(make_spec(0.0), surgery)
    net, text = random_net(PLAIN), calibration(PLAIN, SEQUENCES, LENGTH)
    with FlopCounterMode(display=False) as counted:
        prune(net, method, 0.25, text=text)
    passes = surgery_price(spec).flops - _algebra(surgery, PLAIN)
    most = surgery_price(spec).flops
    assert 0.9 * passes < counted.get_total_flops() < 1.1 * most


def test_methods_without_text_and_runs_without_surgery_cost_nothing(make_spec) -> None:
    nothing = SurgeryPrice(0, 0.0, 0.0)
    assert surgery_price(make_spec(0.0)) == nothing
    for method in (name for name, one in METHODS.items() if not one.text):
        assert surgery_price(starting(make_spec(0.0), SurgerySpec(method, 0.25))) == nothing
        with pytest.raises(KeyError):
            forward_passes(method, 4)


def test_a_plan_says_what_surgery_costs_and_counts_it_in_the_hours() -> None:
    sweep = expand(SWEEPS / "p2-public.yaml", read_models=False)
    priced = plan.plan(sweep)
    [line] = [line for line in plan.by_study(priced) if line.startswith("surgery on calibration text")]
    assert f"of {priced.surgery.runs} runs" in line
    hours = {run.run_id: run.hours for run in forecast(sweep, Cluster.parse("gpus=8,type=h100")).runs}
    by_id = {run.spec.run_id: run.spec for run in sweep.runs}
    whole, random = (
        next(i for i, s in by_id.items() if s.size.startswith(f"qwen-0.5b-{method}-r15")) for method in ("depth-taylor", "random-depth")
    )  # fmt: skip
    assert hours[whole] - hours[random] == pytest.approx(surgery_price(by_id[whole]).seconds / 3600, rel=0.05)
