"""What a driver tells a worker arrives as it was, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from repro.errors import UserError
from repro.resources import Resources
from repro.spec import RunSpec
from repro.training.assignment import Assignment, CheckpointRef

Make = Callable[..., RunSpec]


@pytest.fixture
def given(make_spec: Make) -> Assignment:
    return Assignment(
        spec=make_spec(),
        resources=Resources(workers=2, micro_batch=2),
        folder="s3://bucket/results/sweep/runs/child",
        corpus="data/pydoc",
        corpus_hash="0a1b",
        fork=CheckpointRef("s3://bucket/results/sweep/runs/parent", 8),
        forks=(16, 24),
        parent="s3://bucket/results/sweep/runs/other",
        children=(12,),
        results="s3://bucket/results/sweep",
        driver="d",
        over="lease-1",
        gpu=False,
    )


def test_an_assignment_survives_the_way_as_json(given: Assignment) -> None:
    assert Assignment.parse(json.loads(json.dumps(given.to_dict()))) == given


@pytest.mark.parametrize("key", [field.name for field in fields(Assignment)])
def test_a_missing_key_is_refused(key: str, given: Assignment) -> None:
    with pytest.raises(UserError, match="missing key") as refused:
        Assignment.parse({k: v for k, v in given.to_dict().items() if k != key})
    assert refused.value.key == key


@pytest.mark.parametrize("extra", [{"lane": 1}, {"fork": {"folder": "f", "step": 8, "surgery": "none"}}])
def test_an_unknown_key_is_refused(extra: dict[str, Any], given: Assignment) -> None:
    with pytest.raises(UserError, match="unknown key"):
        Assignment.parse(given.to_dict() | extra)
