"""The schedule of a row is the one that its spec declared, in any direction."""

from collections.abc import Callable
from typing import Any

import pytest

from analysis.tables.schedules import name_of, schedule_of
from repro import columns
from repro.spec import RunSpec


@pytest.mark.parametrize(
    "pruning",
    [
        {},
        {"shape": "linear", "mirror": True},
        {"shape": "constant"},
        {"shape": "static_dense", "end": 0.6},
        {"shape": "pieces", "pieces": ((0, 0.2), (0.3, 0.9), (0.7, 0.4))},
        {"shape": "saw_tooth", "teeth": 2, "mirror": True},
        {"sparsity": 0.0},
    ],
)
def test_the_schedule_of_a_row_is_that_of_its_spec(make_spec: Callable[..., RunSpec], pruning: dict[str, Any]) -> None:
    spec = make_spec(**pruning)
    assert schedule_of(columns.planned(spec)) == spec.schedule


@pytest.mark.parametrize(
    ("pruning", "name"),
    [
        ({}, "25/50/25"),
        ({"mirror": True}, "25/50/25, mirrored"),
        ({"shape": "static_dense"}, "static dense"),
        ({"shape": "constant"}, "constant"),
        ({"sparsity": 0.0}, "dense"),
    ],
)
def test_a_schedule_is_named_by_its_window_or_its_shape(make_spec: Callable[..., RunSpec], pruning, name) -> None:
    assert name_of(columns.planned(make_spec(**pruning))) == name
