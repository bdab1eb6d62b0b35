"""Trackers: a run's curve in TensorBoard, always, and in MLflow and Weights & Biases when a sweep names them.

All are written from the rows of `record.Log`, which a checkpoint restores, so that none of them shows a point twice or
one that was undone. The event file is written whole each time; the others are given the rows that they haven't got. A
tracker that fails is left out by the rest of its process, and never fails a run.
"""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from repro.errors import UserError
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.training.tracker_backends import MLflow, Row, TensorBoard, Tracker, WandB

KEPT = "trackers.json"  # in the run's folder: by tracker, the id by which it knows the run, and what it failed with
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # of a run, to MLflow and to W&B, which names folders after it
_failed: dict[str, str] = {}  # trackers that this process leaves out, and why


def require(names: Sequence[str], file: object = None) -> None:
    """Refuses a tracker that can't be written because its package isn't installed.

    Raises:
        UserError: one of `names` isn't installed.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UserError(
                "a tracker that isn't installed",
                file=file,
                key="resources.trackers",
                found=name,
                expected=f"an environment with it: pip install {name}",
            )


def faults(run: Folder) -> dict[str, str]:
    """By tracker, what it failed with in a run."""
    return {name: known["failed"] for name, known in _kept(run).items() if "failed" in known}


def _kept(run: Folder) -> dict[str, dict[str, str]]:
    """What trackers.json holds, by tracker, without entries that are damaged or ids that could be a path."""
    try:
        found = run.read_json(KEPT) if run.exists(KEPT) else {}
    except UserError:
        return {}
    known = {name: facts for name, facts in found.items() if isinstance(facts, dict)} if isinstance(found, dict) else {}
    return {
        name: {
            key: value
            for key, value in facts.items()
            if isinstance(value, str) and (key == "failed" or (key == "id" and ID.fullmatch(value)))
        }
        for name, facts in known.items()
    }


class Trackers:
    """All trackers of one run: entered when its log has been restored, left when it has ended.

    Args:
        spec, run: the run and its folder.
        curve: rows of its log, to which the loop appends.
        names: trackers beside TensorBoard.
    """

    def __init__(self, spec: RunSpec, run: Folder, curve: list[Row], names: Sequence[str]):
        self.spec, self.run, self.curve, self.names = spec, run, curve, names
        self.told, self.ended_well = 0, False
        self.kept = _kept(run) if names else {}
        self.open: dict[str, Tracker] = {}

    def __enter__(self) -> Trackers:
        makers: dict[str, Any] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}
        for name in ("tensorboard", *self.names):
            if name in _failed:
                self._note(name, failed=_failed[name])
                continue
            try:
                self.open[name] = made = makers[name](self.spec, self.run, self.kept.get(name, {}).get("id"))
                if name in self.names:
                    self._note(name, id=made.id)
            except Exception as error:
                self._leave_out(name, error)
        self.write()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self.ended_well:  # its last steps say why
            self._tell(self.curve[self.told :])
        for name in list(self.open):
            self._try(name, "close", self.ended_well)

    def write(self) -> None:
        """Gives every tracker the rows logged since the last call, except the newest, which `finish` may still amend."""
        self._tell(self.curve[self.told : -1])

    def finish(self, loss: float) -> None:
        """Gives them the remaining rows, with the held-out loss at the last step."""
        self._tell([*self.curve[self.told : -1], {**self.curve[-1], "loss_eval": loss}])
        self.ended_well = True

    def _tell(self, rows: Sequence[Row]) -> None:
        self.told += len(rows)
        for name in list(self.open):
            self._try(name, "write", rows)

    def _try(self, name: str, what: str, given: Any) -> None:
        try:
            getattr(self.open[name], what)(given)
        except Exception as error:  # a tracker's packages raise what they like, and none of it is worth a run
            self._leave_out(name, error)

    def _leave_out(self, name: str, error: Exception) -> None:
        self.open.pop(name, None)
        reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        if name in self.names:
            _failed[name] = reason  # a service that doesn't answer would cost every further run its time-outs
        warnings.warn(f"{self.spec.run_id}: {name} is left out: {reason}", stacklevel=2)
        self._note(name, failed=reason)

    def _note(self, name: str, **facts: str) -> None:
        known = {key: value for key, value in self.kept.get(name, {}).items() if key != "failed"}
        self.kept[name] = known | facts
        try:
            self.run.write_json(KEPT, self.kept)
        except OSError as error:
            warnings.warn(f"{self.spec.run_id}: {KEPT} couldn't be written: {error}", stacklevel=2)
