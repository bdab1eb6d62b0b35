"""What a watch lets pass and what it doesn't."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.distributed as dist

from repro.spec import RunSpec
from repro.store.run_folder import RunFailed
from repro.training.distributed import process_group
from repro.training.watch import WINDOW, Watch
from tests import workers

Make = Callable[..., RunSpec]
LEVEL = [3.0] * WINDOW  # as many losses as a mean takes


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """A group of one, which a look asks for its size."""
    with process_group(torch.device("cpu")):
        yield


def fed(watch: Watch, losses: list[float], first: int = 0) -> Watch:
    for step, loss in enumerate(losses, first):
        watch.add(step, torch.tensor(loss), torch.tensor(1.0))
    return watch


def verdict(watch: Watch, losses: list[float], first: int = 0) -> str | None:
    """What the run fails with when it is looked at after the last of these losses; None when nothing is wrong."""
    try:
        fed(watch, losses, first).look()
    except RunFailed as failure:
        return str(failure)
    return None


def named(message: str | None) -> int:
    """The step that a message names."""
    [step] = re.findall(r"at step (\d+)", message or "")
    return int(step)


# ------------------------------------------------------------------------------------------------- losses


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("at", [0, 1, 6, 9])
def test_a_loss_that_is_not_finite_is_named_by_its_step_though_it_is_looked_at_later(bad: float, at: int) -> None:
    losses = [3.0] * 10
    losses[at] = bad
    message = verdict(Watch(None, [], None), losses, first=100)
    assert message == f"the loss is {bad}, not finite, at step {100 + at}"


def test_of_several_bad_losses_the_first_is_named() -> None:
    assert named(verdict(Watch(None, [], None), [3.0, float("inf"), float("nan")], first=7)) == 8


def test_a_look_returns_the_losses_since_the_last_one_and_nothing_waits_after_it() -> None:
    watch = fed(Watch(None, [], None), [3.0, 2.5])
    assert watch.waiting == 2
    assert watch.look() == [(3.0, 1.0), (2.5, 1.0)]
    assert watch.waiting == 0
    assert watch.look() == []
    assert fed(watch, [2.0], first=2).look() == [(2.0, 1.0)]


@pytest.mark.parametrize(("loss", "spikes"), [(4.98, False), (5.0, True), (1e6, True)])
def test_a_loss_past_the_bound_is_a_spike_and_both_numbers_are_said(loss: float, spikes: bool) -> None:
    message = verdict(Watch(2.0, [], None), [*LEVEL, 2.9, loss])
    assert (message is not None) == spikes
    if message is not None:
        assert named(message) == WINDOW + 1
        assert "spiked" in message
        assert f"{loss:.3f}" in message
        assert "2 nats above 2.990" in message  # the lowest mean is the one that ends with the 2.9


def test_a_loss_is_held_against_the_lowest_mean_and_not_against_the_last() -> None:
    climb = [3.0 + i / 4 for i in range(20)]  # no step of it is a quarter of a nat above the one before
    message = verdict(Watch(2.0, [], None), [*LEVEL, *climb])
    assert named(message) == WINDOW + next(i for i, loss in enumerate(climb) if loss > 5.0)


def test_no_loss_is_a_spike_before_there_is_a_mean_of_ten() -> None:
    early = [3.0] * (WINDOW - 1)
    assert verdict(Watch(2.0, [], None), [*early, 1e6]) is None
    assert verdict(Watch(2.0, [], None), [*early, 3.0, 1e6]) is not None


def test_without_a_bound_any_finite_loss_may_pass_but_no_other() -> None:
    assert verdict(Watch(None, [], None), [*LEVEL, 1e30]) is None
    assert named(verdict(Watch(None, [], None), [*LEVEL, 1e30, float("nan")])) == WINDOW + 1


def test_a_restart_at_any_step_changes_no_verdict() -> None:
    chance = np.random.default_rng(0)
    losses = [float(np.float32(x)) for x in 6 * np.exp(-np.arange(60) / 20) + chance.normal(0, 0.3, 60)]
    losses[47] += 3.0
    whole = verdict(Watch(2.0, [], None), losses)
    assert named(whole) == 47
    for stop in range(48):
        first = Watch(2.0, [], None)
        assert verdict(first, losses[:stop]) is None
        recent, lowest = json.loads(json.dumps([first.recent, first.lowest]))  # as a checkpoint keeps them
        again = Watch(2.0, recent, lowest)
        assert verdict(again, losses[stop:], first=stop) == whole, f"after a restart at step {stop}"


def test_a_restart_that_forgot_the_losses_before_it_would_miss_a_spike() -> None:
    """Without this the test above could pass though nothing were carried over."""
    assert verdict(Watch(2.0, [], None), [3.0] * 5 + [9.0], first=20) is None


# What a second worker's losses may be beside twelve of 1.5 here, and what both must say.
BESIDE: list[tuple[list[float], str | None]] = [
    ([1.5] * 12, None),
    ([1.5] * 10 + [float("nan"), 1.5], "the loss is nan, not finite, at step 10"),
    ([1.5] * 11 + [3.6], "the loss spiked to 5.100 at step 11"),  # the other's own 1.5 is none
]


def verdicts_on_this_rank(cases: list[list[list[float]]]) -> list[str | None]:
    """What this rank says of each case, where its losses are its row."""
    with process_group(torch.device("cpu")):
        return [verdict(Watch(2.0, [], None), parts[dist.get_rank()]) for parts in cases]


@pytest.mark.full
def test_what_one_worker_finds_all_say_alike() -> None:
    first, second = workers.run(2, verdicts_on_this_rank, [[[1.5] * 12, theirs] for theirs, _ in BESIDE])
    assert first == second
    for said, (_, expected) in zip(first, BESIDE, strict=True):
        assert said is None if expected is None else str(said).startswith(expected)
