"""Shared prefixes as the driver trains them: parents first, and a child once its parent has left the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder, Stamps
from repro.training.fork import begun, discard, ready
from sweeps import prefix_plan
from sweeps.grid import Sweep


class Shared:
    """The forks that are ahead of a sweep's driver; none where the sweep doesn't share.

    Args:
        runs: the folder of all runs.
        sweep: the expanded file.
        todo: the runs to be trained.
        before: what the statuses of `todo` said when the driver began.
    """

    def __init__(self, runs: Folder, sweep: Sweep, todo: Sequence[RunSpec], before: Stamps):
        self.runs, self.before = runs, before
        self._whole = prefix_plan.grow(run.spec for run in sweep.runs) if sweep.share_prefix else prefix_plan.Forest({})
        self.forest = self._left({spec.run_id for spec in todo})

    def ordered(self, todo: Sequence[RunSpec]) -> list[RunSpec]:
        """Those that others wait for first, the nearest to the root before the others; the rest as they stood."""
        return sorted(todo, key=lambda spec: self._depth(spec.run_id) if self.forest.steps(spec.run_id) else len(todo))

    def waits(self, run_id: str) -> bool:
        """Whether a run's parent is still to leave the checkpoint it starts from."""
        fork = self.forest.forks.get(run_id)
        if fork is None or ready(self.runs / fork.parent, fork.step):
            return False
        status = RunFolder(self.runs / fork.parent).status()
        return status["state"] not in ("done", "failed") or not self.before.is_new(fork.parent, status)

    def tidy(self, todo: Sequence[str]) -> None:
        """Removes the checkpoints that none of the runs still to be trained starts from."""
        left = self._left(set(todo))
        for parent in {fork.parent for fork in self._whole.forks.values()}:
            discard(self.runs / parent, keep=left.steps(parent))

    def _left(self, todo: set[str]) -> prefix_plan.Forest:
        return self._whole.left(
            todo,
            begun=lambda run_id: begun(self.runs / run_id),
            ready=lambda parent, step: ready(self.runs / parent, step),
        )

    def _depth(self, run_id: str) -> int:
        fork = self.forest.forks.get(run_id)
        return 0 if fork is None else 1 + self._depth(fork.parent)
