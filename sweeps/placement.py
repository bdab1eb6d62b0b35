"""Worker counts and start times of runs: sizing, list scheduling, its simulation and a lower bound.

Longest first: runs are sorted by cost, so that the last to end are short. More workers for the longest: given a target
makespan, each run gets the fewest workers with which it ends by then, so long runs get many, runs that start early get
few, and efficiency is given up only where it shortens the sweep. Targets from the lower bound upwards are tried; among
the schedules within SLACK of the shortest, the one with the fewest GPU-seconds is taken. A driver needs only the order
and the worker counts; the plan reports the simulation of exactly these. No torch, no Ray.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from repro.ladder import executed_flops
from repro.spec import RunSpec

# Overhead per token and per step regardless of model size, in FLOPs: for nine runs of 5 to 53 k weights and 2 to 32
# sequences per step on one core, these and the FLOPs predict the seconds to within 14%.
TOKEN_FLOPS = 2.8e5
STEP_FLOPS = 3.4e8
# Relative excess over the bound.
TARGETS = (0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.09, 0.13, 0.2, 0.35, 0.6, 1, math.inf)
SLACK = 0.002


def cost(spec: RunSpec) -> float:
    """The cost of a run in arbitrary units: executed FLOPs plus overhead per token and per step."""
    flops = executed_flops(spec.model.shape, spec.tokens, spec.model.sequence)
    return flops + TOKEN_FLOPS * spec.tokens + STEP_FLOPS * spec.schedule.total_steps


def longest_first(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """The order in which runs start, both in the driver and in the plan."""
    return sorted(specs, key=cost, reverse=True)


@dataclass(frozen=True)
class RunTimes:
    """A run to schedule.

    Attributes:
        seconds: its duration by worker count.
        after: the run whose weights it starts from, and the share of that run's steps after which they are available.
    """

    run_id: str
    seconds: Mapping[int, float]
    after: tuple[str, float] | None = None

    @property
    def fastest(self) -> int:
        """The worker count with the shortest duration; the smallest in a tie."""
        return min(self.seconds, key=lambda workers: (self.seconds[workers], workers))

    def within(self, deadline: float) -> int:
        """The fewest workers that finish it within `deadline` seconds; the fastest if none do."""
        return min((w for w, s in self.seconds.items() if s <= deadline), default=self.fastest)


@dataclass(frozen=True)
class PlacedRun:
    """A run in the simulated schedule: seconds from the sweep's start, and its nodes."""

    run_id: str
    workers: int
    start: float
    end: float
    nodes: tuple[int, ...]


def lower_bound(jobs: Sequence[RunTimes], gpus: int) -> float:
    """Lower bound of the makespan in seconds: all work at its most efficient size over all GPUs, or the longest run.

    For a run that starts from another's weights, the time of its ancestors up to those weights counts as well.
    """
    work = sum(min(workers * seconds for workers, seconds in job.seconds.items()) for job in jobs)
    best = {job.run_id: min(job.seconds.values()) for job in jobs}
    after = {job.run_id: job.after for job in jobs}

    def earliest(run_id: str) -> float:
        parent, share = after[run_id] or ("", 0.0)
        return earliest(parent) + share * best[parent] if parent in best else 0.0

    return max(work / gpus, max(earliest(job.run_id) + best[job.run_id] for job in jobs))


def makespan(placed: Sequence[PlacedRun]) -> float:
    """Seconds until the last run ends."""
    return max(p.end for p in placed)


def gpu_seconds(placed: Iterable[PlacedRun]) -> float:
    return sum(p.workers * (p.end - p.start) for p in placed)


def pack(jobs: Sequence[RunTimes], gpus: int, node: int) -> tuple[PlacedRun, ...]:
    """Assigns workers to `jobs` and schedules them; see the module.

    Args:
        jobs: the runs, longest first.
        gpus: GPUs of the cluster.
        node: GPUs per node.
    """
    bound = lower_bound(jobs, gpus)
    tried: dict[tuple[int, ...], tuple[PlacedRun, ...]] = {}
    for over in TARGETS:
        sized = {p.run_id: p.workers for p in simulate(jobs, partial(_by, bound * (1 + over)), gpus, node)}
        workers = tuple(sized[job.run_id] for job in jobs)
        if workers not in tried:
            tried[workers] = simulate(jobs, partial(_given, sized), gpus, node)
    shortest = min(map(makespan, tried.values()))
    return min((p for p in tried.values() if makespan(p) <= (1 + SLACK) * shortest), key=gpu_seconds)


def simulate(
    jobs: Sequence[RunTimes], workers: Callable[[RunTimes, float], int], gpus: int, node: int
) -> tuple[PlacedRun, ...]:
    """List scheduling: whenever GPUs are free, the first waiting run that fits starts.

    A run that fits one node is placed on the fullest node with room; a larger one takes whole nodes. A run that starts
    from another's weights waits until they are available.

    Args:
        workers: the worker count of a run if it starts so many seconds after the sweep's start.
    """
    free, waiting, now = [node] * (gpus // node), list(jobs), 0.0
    ids = {job.run_id for job in jobs}
    # Time at which a child's weights become available.
    there = {job.run_id: math.inf for job in jobs if job.after and job.after[0] in ids}
    running: list[tuple[float, int, tuple[int, ...]]] = []
    placed: list[PlacedRun] = []
    while waiting or running:
        full: set[int] = set()  # worker counts that don't fit at this moment
        for job in waiting if any(free) else ():
            count = workers(job, now)
            if count in full or there.get(job.run_id, now) > now:
                continue
            nodes = _room(free, count, node)
            if nodes is not None:
                break
            full.add(count)
        else:
            if not running:
                raise ValueError(f"no room for {waiting[0].run_id} on {gpus} GPUs, {node} a node")
            now, count, nodes = heapq.heappop(running)
            for n in nodes:
                free[n] += min(count, node)
            continue
        for n in nodes:
            free[n] -= min(count, node)
        end = now + job.seconds[count]
        heapq.heappush(running, (end, count, nodes))
        placed.append(PlacedRun(job.run_id, count, now, end, nodes))
        waiting.remove(job)
        for child in waiting:
            if child.after and child.after[0] == job.run_id:
                there[child.run_id] = now + child.after[1] * job.seconds[count]
                heapq.heappush(running, (there[child.run_id], 0, ()))  # an event at which a run may start
    return tuple(placed)


def _by(target: float, job: RunTimes, now: float) -> int:
    return job.within(target - now)


def _given(workers: Mapping[str, int], job: RunTimes, now: float) -> int:
    return workers[job.run_id]


def _room(free: Sequence[int], workers: int, node: int) -> tuple[int, ...] | None:
    """Nodes for a run of `workers`, or None; `free` is the number of free GPUs by node."""
    if workers <= node:
        enough = [n for n, left in enumerate(free) if left >= workers]
        return (min(enough, key=lambda n: free[n]),) if enough else None
    whole = [n for n, left in enumerate(free) if left == node]
    return tuple(whole[: workers // node]) if workers % node == 0 and workers // node <= len(whole) else None


def tail(placed: Sequence[PlacedRun], gpus: int) -> tuple[float, tuple[str, ...]]:
    """Seconds at the end with less than half of the GPUs busy, and the runs still running then, last to end first."""
    ends = sorted(placed, key=lambda p: p.end, reverse=True)
    for moment in sorted({p.end for p in placed}, reverse=True):
        busy = sum(p.workers for p in placed if p.start < moment <= p.end)
        if 2 * busy >= gpus:
            return makespan(placed) - moment, tuple(p.run_id for p in ends if p.end > moment)
    return makespan(placed), tuple(p.run_id for p in ends)
