"""Packing: sizes, places and order of runs, by hand on small cases and by its promises on many."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from sweeps import placement, run
from sweeps.grid import expand
from sweeps.placement import PlacedRun, RunTimes, lower_bound, makespan, pack, simulate

SWEEPS = Path(__file__).parents[2] / "sweeps"


def drawn(seed: int, count: int = 60, most: int = 8) -> list[RunTimes]:
    """Runs whose lengths differ by 100 times and that lose 3% of their efficiency a worker, the longest first."""
    draw = random.Random(seed)
    sizes = [2**k for k in range(most.bit_length()) if 2**k <= most]
    alone = sorted((10 ** draw.uniform(0, 2) for _ in range(count)), reverse=True)
    return [RunTimes(f"run-{i}", {w: base / w * (1 + 0.03 * (w - 1)) for w in sizes}) for i, base in enumerate(alone)]


def most_in_use(placed: tuple[PlacedRun, ...], node: int) -> Counter[int]:
    """Most GPUs in use at once, by node."""
    peak: Counter[int] = Counter()
    for moment in {p.start for p in placed}:
        used: Counter[int] = Counter()
        for p in placed:
            if p.start <= moment < p.end:
                used.update(dict.fromkeys(p.nodes, min(p.workers, node)))
        peak |= used
    return peak


@pytest.mark.parametrize(
    ("gpus", "node", "most"), [(1, 1, 1), (8, 8, 8), (64, 8, 8), (12, 4, 4), (32, 8, 16), (6, 3, 2)]
)
@pytest.mark.parametrize("seed", range(3))
def test_every_run_once_and_never_more_gpus_than_there_are(gpus: int, node: int, most: int, seed: int) -> None:
    jobs = drawn(seed, most=most)
    placed = pack(jobs, gpus, node)
    assert Counter(p.run_id for p in placed) == Counter(job.run_id for job in jobs)
    by_id = {job.run_id: job for job in jobs}
    for p in placed:
        assert p.end - p.start == pytest.approx(by_id[p.run_id].seconds[p.workers])
        assert sum(min(p.workers, node) for _ in set(p.nodes)) == p.workers
    peak = most_in_use(placed, node)
    assert max(peak.values()) <= node
    assert set(peak) <= set(range(gpus // node))
    assert makespan(placed) >= lower_bound(jobs, gpus) * (1 - 1e-12)


@pytest.mark.parametrize("gpus", [8, 16, 32])
@pytest.mark.parametrize("seed", range(3))
def test_drawn_runs_come_within_5_per_cent_of_the_bound(gpus: int, seed: int) -> None:
    jobs = drawn(seed, count=120)
    assert makespan(pack(jobs, gpus, 8)) <= 1.05 * lower_bound(jobs, gpus)


def test_the_bound_is_the_work_or_the_longest_run_at_its_best_size() -> None:
    short, long = RunTimes("short", {1: 2.0, 2: 1.5}), RunTimes("long", {1: 10.0, 2: 6.0})
    assert lower_bound([long, short], 1) == 12.0
    assert lower_bound([long, short], 4) == 6.0  # not 12 / 4


def test_the_longest_run_gets_more_workers_where_that_shortens_the_sweep() -> None:
    jobs = [RunTimes("long", {1: 10.0, 2: 5.2}), *(RunTimes(f"short-{i}", {1: 2.0, 2: 1.1}) for i in range(3))]
    placed = {p.run_id: p for p in pack(jobs, 3, 3)}
    assert placed["long"].workers == 2
    assert {p.workers for name, p in placed.items() if name != "long"} == {1}
    assert makespan(tuple(placed.values())) == 6.0  # three short ones in a row beside it


def test_no_run_gets_workers_that_shorten_nothing() -> None:
    jobs = [RunTimes("a", {1: 4.0, 2: 2.5}), RunTimes("b", {1: 4.0, 2: 2.5})]
    assert [p.workers for p in pack(jobs, 2, 2)] == [1, 1]


def test_a_run_that_has_no_room_lets_the_next_pass() -> None:
    jobs = [RunTimes("first", {1: 3.0}), RunTimes("wide", {2: 1.0}), RunTimes("small", {1: 1.0})]
    found = simulate(jobs, lambda job, _: min(job.seconds), 2, 2)
    assert [(p.run_id, p.start) for p in found] == [("first", 0.0), ("small", 0.0), ("wide", 3.0)]


def test_a_run_waits_for_the_weights_that_it_starts_from() -> None:
    jobs = [
        RunTimes("grandchild", {1: 5.0}, ("child", 1.0)),
        RunTimes("child", {1: 4.0}, ("parent", 0.5)),
        RunTimes("parent", {1: 2.0}),
        RunTimes("other", {1: 1.0}, ("elsewhere", 1.0)),  # trained already, or by another sweep
    ]
    placed = {p.run_id: p for p in simulate(jobs, lambda *_: 1, 3, 1)}
    assert {run_id: p.start for run_id, p in placed.items()} == {"parent": 0, "other": 0, "child": 1, "grandchild": 5}
    assert lower_bound(jobs, 3) == makespan([*placed.values()]) == 10
    alone = {p.run_id: p for p in simulate(jobs, lambda *_: 1, 1, 1)}
    assert sorted(alone, key=lambda run_id: alone[run_id].start) == ["parent", "child", "grandchild", "other"]


def test_a_run_lies_within_a_node_or_takes_whole_ones() -> None:
    jobs = [RunTimes("a", {3: 1.0}), RunTimes("b", {3: 2.0}), RunTimes("two", {2: 1.0}), RunTimes("eight", {8: 1.0})]
    placed = {p.run_id: p for p in simulate(jobs, lambda job, _: min(job.seconds), 8, 4)}
    assert (placed["a"].nodes, placed["b"].nodes) == ((0,), (1,))
    assert placed["two"].start == 1.0  # two GPUs are free at 0, one on each node
    assert (placed["eight"].nodes, placed["eight"].start) == ((0, 1), 2.0)


def test_a_run_that_no_cluster_of_this_size_holds_is_an_error() -> None:
    with pytest.raises(ValueError, match="no room for wide"):
        simulate([RunTimes("wide", {16: 1.0})], lambda job, _: 16, 8, 8)


def test_the_tail_is_the_time_with_less_than_half_of_the_gpus_busy() -> None:
    placed = (PlacedRun("long", 1, 0, 10, (0,)), PlacedRun("b", 2, 0, 4, (0,)), PlacedRun("c", 1, 0, 6, (0,)))
    assert placement.tail(placed, 4) == (4, ("long",))
    assert placement.tail(placed, 2) == (0, ())


def test_runs_start_longest_first_and_none_is_lost() -> None:
    specs = [run.spec for run in expand(SWEEPS / "quick.yaml").runs]
    ordered = placement.longest_first(specs)
    assert all(placement.cost(a) >= placement.cost(b) for a, b in pairwise(ordered))
    assert {spec.fingerprint for spec in ordered} == {spec.fingerprint for spec in specs}
    assert [spec.run_id for spec in ordered] != [spec.run_id for spec in specs]


def test_the_driver_says_and_starts_runs_longest_first(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sweep = expand(SWEEPS / "quick.yaml")
    assert run.dry_run(sweep, results=str(tmp_path)) == 0
    said = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert said == [spec.run_id for spec in placement.longest_first(planned.spec for planned in sweep.runs)]
