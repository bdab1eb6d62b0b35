"""`compile: auto` compiles the shapes that a sweep trains for long, and the same runs however many are left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sweeps import assign_workers
from sweeps.assign_workers import COMPILED_STEPS
from sweeps.grid import expand

LAPTOP = Path(__file__).parents[2] / "sweeps" / "laptop.yaml"


def test_shapes_of_enough_steps_are_compiled_whatever_is_left_to_train() -> None:
    sweep = expand(LAPTOP)
    specs = [run.spec for run in sweep.runs]
    steps: Counter[tuple[object, int]] = Counter()
    for spec in specs:
        steps[spec.model, spec.optimizer.batch] += spec.schedule.total_steps
    expected = {s.run_id: "auto" if steps[s.model, s.optimizer.batch] >= COMPILED_STEPS else False for s in specs}
    assert set(expected.values()) == {"auto", False}
    for left in (specs, specs[-1:], [s for s in specs if s.optimizer.batch != 32]):
        found = assign_workers.of(sweep, left, None).resources
        assert {run_id: one.compile for run_id, one in found.items()} == {s.run_id: expected[s.run_id] for s in left}
