"""Trackers: log a run's curve to TensorBoard, always, and to MLflow and Weights & Biases if a sweep names them.

All are written from the rows of `record.Log`, which checkpoints restore, so that none shows a point twice or one that
was rolled back. The event file is rewritten each time; the others get only new rows. A tracker that fails is disabled
for the rest of its process, and never fails a run.
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

KEPT = "trackers.json"  # in the run's folder: by tracker, its id of the run, and its failure if any
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # a run's id in MLflow and in W&B, which names folders after it
_failed: dict[str, str] = {}  # trackers disabled in this process, and why


def require(names: Sequence[str], file: object = None) -> None:
    """Checks that the packages of trackers are installed.

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
    """Failures of trackers in a run, by tracker."""
    return {name: known["failed"] for name, known in _kept(run).items() if "failed" in known}


def _kept(run: Folder) -> dict[str, dict[str, str]]:
    """Contents of trackers.json, by tracker, without damaged entries and ids that could be a path."""
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
    """All trackers of one run: a context manager, entered after its log is restored and left when the run ends.

    Args:
        spec, run: the run and its folder.
        curve: rows of its log, to which the training loop appends.
        names: trackers besides TensorBoard.
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
        if not self.ended_well:  # its last steps may show why
            self._tell(self.curve[self.told :])
        for name in list(self.open):
            self._try(name, "close", self.ended_well)

    def write(self) -> None:
        """Sends the rows logged since the last call to all trackers, except the newest, which `finish` may amend."""
        self._tell(self.curve[self.told : -1])

    def finish(self, loss: float) -> None:
        """Sends the remaining rows, with the held-out loss at the last step."""
        self._tell([*self.curve[self.told : -1], {**self.curve[-1], "loss_eval": loss}])
        self.ended_well = True

    def _tell(self, rows: Sequence[Row]) -> None:
        self.told += len(rows)
        for name in list(self.open):
            self._try(name, "write", rows)

    def _try(self, name: str, what: str, given: Any) -> None:
        try:
            getattr(self.open[name], what)(given)
        except Exception as error:  # a tracker's failure, whatever it raises, must not fail a run
            self._leave_out(name, error)

    def _leave_out(self, name: str, error: Exception) -> None:
        self.open.pop(name, None)
        reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        if name in self.names:
            _failed[name] = reason  # otherwise every further run would wait for a service that doesn't answer
        warnings.warn(f"{self.spec.run_id}: {name} is left out: {reason}", stacklevel=2)
        self._note(name, failed=reason)

    def _note(self, name: str, **facts: str) -> None:
        known = {key: value for key, value in self.kept.get(name, {}).items() if key != "failed"}
        self.kept[name] = known | facts
        try:
            self.run.write_json(KEPT, self.kept)
        except OSError as error:
            warnings.warn(f"{self.spec.run_id}: {KEPT} couldn't be written: {error}", stacklevel=2)
