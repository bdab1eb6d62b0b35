"""Schedules against the authors' files and released models, at their edges, and against brute force."""

import itertools
import math
import time

import pytest

from repro.errors import UserError
from repro.schedule import Declared, PruningSchedule, exact_floor, interval_for


def resolve(sparsity=0.8, dense_steps=10_000, start=0.25, end=0.75, interval=25, shape="geometric"):
    return PruningSchedule.resolve(Declared(dense_steps, sparsity, shape, start, end, interval))


# (sparsity, total, start, end, compute at start, compute at end, mean density) of the authors' 70m and 1b files
FILES = [(0.6, 26_800, 4_100, 16_600, 0.2506, 0.7506, 0.6105), (0.5, 72_200, 12_500, 47_200, 0.2499, 0.7501, 0.6929)]


@pytest.mark.parametrize(("sparsity", "total", "start", "end", "at_start", "at_end", "density"), FILES)
def test_steps_of_the_authors_files_give_their_compute_and_density(
    sparsity, total, start, end, at_start, at_end, density
):
    schedule = PruningSchedule.in_steps(sparsity, start, end, total, interval=100)
    assert schedule.compute_at_start == pytest.approx(at_start, abs=1e-4)
    assert schedule.compute_at_end == pytest.approx(at_end, abs=1e-4)
    assert schedule.density_avg == pytest.approx(density, abs=1e-4)


@pytest.mark.parametrize(("sparsity", "total", "start", "end", "at_start", "at_end", "density"), FILES)
def test_compute_resolves_to_the_steps_of_the_authors_files(sparsity, total, start, end, at_start, at_end, density):
    dense_steps = round(PruningSchedule.in_steps(sparsity, start, end, total, interval=100).compute)
    schedule = resolve(sparsity, dense_steps, interval=100)
    assert (schedule.start_step, schedule.end_step) == (start, end)
    assert abs(schedule.total_steps - total) <= 2
    assert schedule.compute_at_start == pytest.approx(at_start, abs=1e-3)
    assert schedule.compute_at_end == pytest.approx(at_end, abs=1e-3)


@pytest.mark.parametrize(
    ("sparsity", "total", "end", "density"),
    [
        (0.2, 11_200, 8_100, 0.8919),
        (0.4, 13_050, 8_875, 0.7651),
        (0.6, 16_375, 10_100, None),
        (0.8, 25_050, 12_600, 0.3984),
    ],
)
def test_ten_thousand_dense_steps_give_the_released_models(sparsity, total, end, density):
    schedule = resolve(sparsity, 10_000, 0.25, 0.75, interval=25)
    assert schedule.start_step == 2_500
    assert schedule.end_step == pytest.approx(end, abs=75)
    assert schedule.total_steps == pytest.approx(total, rel=2e-3)
    if density:
        assert schedule.density_avg == pytest.approx(density, abs=2e-3)


@pytest.mark.parametrize("window", [(0, 1), (0.25, 1), (0.5, 1), (0.75, 1)])
@pytest.mark.parametrize("sparsity", [0.2, 0.4, 0.6, 0.8])
@pytest.mark.parametrize(("dense_steps", "interval"), [(88, 4), (254, 5), (508, 10), (16_361, 100)])
def test_pruning_to_the_end_reaches_its_sparsity_and_trains_an_interval_after(window, sparsity, dense_steps, interval):
    start, end = window
    schedule = resolve(sparsity, dense_steps, start, end, interval)
    assert schedule.n_final(26_004) == exact_floor(26_004, 1 - sparsity)
    assert schedule.total_steps - schedule.end_step >= interval
    assert schedule.density(schedule.total_steps - 1) == pytest.approx(1 - sparsity)


def test_the_step_before_an_event_has_the_old_density_and_its_own_step_the_new_one():
    schedule = PruningSchedule.in_steps(0.75, 20, 30, 50, interval=10)
    assert [schedule.event_at(step) for step in (19, 20, 21, 30, 40)] == [None, 0, None, 1, None]
    assert [schedule.density(step) for step in (19, 20, 29, 30, 49)] == pytest.approx([1, 0.5, 0.5, 0.25, 0.25])


def test_the_floor_takes_a_round_decimal_as_it_is_written():
    assert math.floor(50 * (1 - 0.8)) == 9  # what binary arithmetic would leave
    assert PruningSchedule.in_steps(0.8, 10, 20, 40, interval=10).kept(1, 50) == 10
    assert [exact_floor(total, 1 - 0.8) for total in (4, 5, 9, 10)] == [0, 1, 1, 2]


GRID = list(
    itertools.product(
        [0.2, 0.5, 0.8, 0.95],
        [37, 254, 508],
        [(0, 0.25), (0.25, 0.75), (0.5, 1), (0, 1)],
        [1, 4, 7],
        ["geometric", "linear", "cubic", "constant"],
    )
)


@pytest.mark.slow
@pytest.mark.parametrize("prunable", [7_200, 26_003])
def test_average_and_compute_equal_a_loop_over_the_steps_for_every_shape(prunable):
    checked = 0
    for sparsity, dense_steps, window, interval, shape in GRID:
        try:
            schedule = resolve(sparsity, dense_steps, *window, interval=interval, shape=shape)
        except UserError:
            continue  # a window too short for two events
        steps = range(schedule.total_steps)
        alive, kept = prunable, []
        for step in steps:
            event = schedule.event_at(step)
            alive = alive if event is None else schedule.kept(event, prunable)
            kept.append(alive)
        assert schedule.weight_steps(prunable) == sum(kept)
        assert schedule.compute == pytest.approx(sum(schedule.density(step) for step in steps))
        assert kept == sorted(kept, reverse=True), "a removed weight came back"
        assert kept[-1] == schedule.n_final(prunable)
        checked += 1
    assert checked > len(GRID) // 2


def test_a_sparse_run_is_given_the_compute_of_the_dense_run():
    for sparsity, dense_steps, window, interval, shape in GRID:
        try:
            schedule = resolve(sparsity, dense_steps, *window, interval=interval, shape=shape)
        except UserError:
            continue
        assert abs(schedule.compute - dense_steps) <= (1 - sparsity) / 2 + 1e-9


def test_start_and_end_lie_within_an_interval_of_the_wanted_compute():
    for sparsity, window in itertools.product([0.2, 0.4, 0.6, 0.8], [(0, 0.25), (0.25, 0.75), (0.5, 0.75), (0.3, 0.9)]):
        schedule = resolve(sparsity, 5_000, *window, interval=20)
        assert schedule.compute_at_start == pytest.approx(window[0], abs=20 / 5_000)
        assert schedule.compute_at_end == pytest.approx(window[1], abs=20 / 5_000)


def test_steps_and_compute_go_back_and_forth():
    there = resolve()
    back = PruningSchedule.in_steps(there.sparsity, there.start_step, there.end_step, there.total_steps, there.interval)
    assert back == there
    again = resolve(dense_steps=round(back.compute), start=back.compute_at_start, end=back.compute_at_end)
    assert again == there


def test_a_dense_schedule_has_no_events():
    schedule = resolve(sparsity=0)
    assert (schedule.events, schedule.density_avg, schedule.total_steps) == (0, 1, 10_000)
    assert schedule.n_avg(999) == schedule.n_final(999) == 999


def test_static_sparsity_prunes_once_before_the_first_step():
    schedule = resolve(shape="constant")
    assert schedule.event_at(0) == 0
    assert schedule.density_avg == pytest.approx(0.2)
    assert schedule.total_steps == 50_000


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"sparsity": 1.2}, "sparsity"),
        ({"sparsity": -0.1}, "sparsity"),
        ({"start": 0.5, "end": 1.25}, "end"),
        ({"start": -0.1}, "start"),
        ({"start": 0.8}, "end"),
        ({"dense_steps": 0}, "dense_steps"),
        ({"interval": 0}, "interval"),
        ({"dense_steps": 20, "interval": 100}, "interval"),
    ],
)
def test_an_impossible_schedule_is_refused_by_name(change, key):
    with pytest.raises(UserError) as error:
        resolve(**change)
    assert error.value.key == key
    assert error.value.found is not None
    assert error.value.expected


def test_a_window_of_one_event_and_a_last_event_without_training_are_refused():
    with pytest.raises(UserError, match="fewer than two events"):
        PruningSchedule.in_steps(0.5, 100, 100, 400, interval=100)
    with pytest.raises(UserError, match="no training after the last event"):
        PruningSchedule.in_steps(0.5, 100, 300, 350, interval=100)


def test_the_usual_interval_is_the_papers_ratio_and_closes_up_in_short_runs():
    assert interval_for(26_800, 0.25) == 100
    assert interval_for(508, 0.25) == 10
    assert interval_for(254, 0.25) == 5
    assert interval_for(88, 0.25) == 4


@pytest.mark.parametrize(
    ("sparsity", "dense_steps", "interval", "key"),
    [
        (0.8, 10**12, 1000, "dense_steps"),
        (0.0, 2 * 10**9, 1, "dense_steps"),
        (1 - 1e-12, 1000, 100, "total_steps"),
        (0.8, 10**8, 1, "interval"),
        (0.99, 10**9, 100, "interval"),
    ],
)
def test_what_would_take_for_ever_to_resolve_is_refused_at_once(sparsity, dense_steps, interval, key):
    began = time.monotonic()
    with pytest.raises(UserError) as error:
        resolve(sparsity, dense_steps, interval=interval)
    assert error.value.key == key
    assert time.monotonic() - began < 5
    with pytest.raises(UserError, match="too many"):
        PruningSchedule.in_steps(0.8, 0, 10**8, 2 * 10**8, 1)


def test_a_thousand_million_steps_and_a_hundred_thousand_events_are_still_resolved():
    schedule = resolve(0.5, 5 * 10**8, interval=10**4)
    assert schedule.compute_at_end == pytest.approx(0.75, abs=1e-4)
    assert PruningSchedule.in_steps(0.5, 0, 99_999, 10**6, 1).events == 100_000
