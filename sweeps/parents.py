"""Runs that need another run's checkpoint, as the driver trains them: parents first, and a child once it is there.

A run may start from another's weights (`start`), and it may take over the state of a run with which it shares its first
steps (`share_prefix`). Both wait for a parent, and both ask it for a checkpoint that it would not keep for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder, Stamps
from repro.training.fork import begun, discard, has_weights, ready
from sweeps import prefix_plan
from sweeps.grid import Sweep
from sweeps.prefix_plan import Forest, Fork


class Parents:
    """What runs of a sweep still need of others.

    Args:
        runs: the folder of all runs.
        sweep: the expanded file.
        todo: the runs to be trained.
        before: what the statuses of `todo` said when the driver began.

    Attributes:
        forks: of runs that take over the state of another; none where the sweep doesn't share.
        starts: of runs that start from the weights of another.
    """

    def __init__(self, runs: Folder, sweep: Sweep, todo: Sequence[RunSpec], before: Stamps):
        self.runs, self.before = runs, before
        specs = [run.spec for run in sweep.runs]
        starts = {s.run_id: Fork(s.parent.run_id, s.parent_step) for s in specs if s.parent and s.parent_step}
        self._whole = (prefix_plan.grow(specs) if sweep.share_prefix else Forest({}), Forest(starts))
        self.forks, self.starts = self._left({spec.run_id for spec in todo})

    def children(self, spec: RunSpec) -> tuple[int, ...]:
        """Steps of a run after which others start from its weights; after its last step it has a checkpoint anyway.

        Also of runs that are done: each can be deleted and trained again as long as its parent's folder is there.
        """
        return tuple(step for step in self._whole[1].steps(spec.run_id) if step < spec.schedule.total_steps)

    def ordered(self, todo: Sequence[RunSpec]) -> list[RunSpec]:
        """Those that others wait for first, the nearest to the root before the others; the rest as they stood."""
        needed = {fork.parent for forest in (self.forks, self.starts) for fork in forest.forks.values()}
        return sorted(todo, key=lambda spec: self._depth(spec.run_id) if spec.run_id in needed else len(todo))

    def waits(self, run_id: str) -> bool:
        """Whether a parent of this run is still to leave the checkpoint that the run needs."""
        for forest, is_there in ((self.forks, ready), (self.starts, has_weights)):
            fork = forest.forks.get(run_id)
            if fork is not None and not is_there(self.runs / fork.parent, fork.step):
                status = RunFolder(self.runs / fork.parent).status()
                if status["state"] not in ("done", "failed") or not self.before.is_new(fork.parent, status):
                    return True
        return False

    def tidy(self, todo: Sequence[str]) -> None:
        """Removes the checkpoints in `forks/` from which no run still to be trained continues, nor any run starts."""
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
