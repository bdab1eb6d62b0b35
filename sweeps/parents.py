"""Runs that need another run's checkpoint: the driver trains parents first, and a child once the checkpoint exists.

A run may start from another's weights (`start`), or continue from the state of a run with which it shares a prefix
(`share_prefix`). Both wait for the parent, and both make it save a checkpoint that it would not save otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from repro.errors import UserError
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder, Stamps
from repro.training.fork import begun, discard, has_weights, ready
from sweeps import prefix_plan
from sweeps.grid import Sweep
from sweeps.ids import near
from sweeps.prefix_plan import Forest, Fork


class Parents:
    """The checkpoints of other runs that the runs of a sweep still need.

    Args:
        before: the statuses of `todo` when the driver began.

    Attributes:
        forks: runs that continue from the state of another; empty unless the sweep shares prefixes.
        starts: runs that start from the weights of another.
    """

    def __init__(self, runs: Folder, sweep: Sweep, todo: Sequence[RunSpec], before: Stamps):
        self.runs, self.before = runs, before
        starts = {s.run_id: Fork(s.parent.run_id, s.parent_step) for s in sweep.specs if s.parent and s.parent_step}
        self._whole = (prefix_plan.grow(sweep.specs) if sweep.share_prefix else Forest({}), Forest(starts))
        self.forks, self.starts = self._left({spec.run_id for spec in todo})

    def children(self, spec: RunSpec) -> tuple[int, ...]:
        """Steps of a run after which others start from its weights, without the last, which has a checkpoint anyway.

        Includes children that are done: each can be deleted and trained again while its parent's folder exists.
        """
        return tuple(step for step in self._whole[1].steps(spec.run_id) if step < spec.schedule.total_steps)

    def ordered(self, todo: Sequence[RunSpec]) -> list[RunSpec]:
        """Runs that others wait for first, those nearest to the root before the others; the rest in their given order."""
        needed = {fork.parent for forest in (self.forks, self.starts) for fork in forest.forks.values()}
        return sorted(todo, key=lambda spec: self._depth(spec.run_id) if spec.run_id in needed else len(todo))

    def waits(self, run_id: str) -> bool:
        """Whether a parent of this run has yet to save the checkpoint that the run needs."""
        for forest, is_there in ((self.forks, ready), (self.starts, has_weights)):
            fork = forest.forks.get(run_id)
            if fork is not None and not is_there(self.runs / fork.parent, fork.step):
                status = RunFolder(self.runs / fork.parent).status()
                if status["state"] not in ("done", "failed") or not self.before.is_new(fork.parent, status):
                    return True
        return False

    def tidy(self, todo: Sequence[str]) -> None:
        """Removes checkpoints in `forks/` that no run to be trained continues from and that no run starts from."""
        (forks, _), (all_forks, all_starts) = self._left(set(todo)), self._whole
        for parent in {fork.parent for fork in all_forks.forks.values()}:
            discard(self.runs / parent, keep=[*forks.steps(parent), *all_starts.steps(parent)])

    def _left(self, todo: set[str]) -> tuple[Forest, Forest]:
        forks, starts = self._whole
        return self._ahead(forks, todo, ready), self._ahead(starts, todo, has_weights)

    def _ahead(self, forest: Forest, todo: set[str], is_there: Callable[[Folder, int], bool]) -> Forest:
        return forest.left(
            todo,
            begun=lambda run_id: begun(self.runs / run_id),
            ready=lambda parent, step: is_there(self.runs / parent, step),
        )

    def _depth(self, run_id: str) -> int:
        forks = (forest.forks.get(run_id) for forest in (self.forks, self.starts))
        return max((1 + self._depth(fork.parent) for fork in forks if fork is not None), default=0)


def with_parents(sweep: Sweep, only: Iterable[str]) -> set[str]:
    """The ids of `only` and of every run whose weights or whose state they start from; of all runs where `only` is empty.

    Raises:
        UserError: an id that is none of the sweep's.
    """
    specs = {spec.run_id: spec for spec in sweep.specs}
    forks = prefix_plan.grow(specs.values()).forks if sweep.share_prefix else {}
    waiting, found = list(only), set[str]()
    for run_id in waiting:
        if run_id not in specs:
            expected = near(run_id, specs)
            raise UserError("no such run in this sweep", file=sweep.file, key="--only", found=run_id, expected=expected)
    while waiting:
        spec = specs[waiting.pop()]
        if spec.run_id not in found:
            found.add(spec.run_id)
            waiting += [spec.parent.run_id] if spec.parent else []
            waiting += [forks[spec.run_id].parent] if spec.run_id in forks else []
    return found or set(specs)
