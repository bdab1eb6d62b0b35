"""Trackers: a run's curve in TensorBoard, always, and in MLflow and Weights & Biases when a sweep names them.

All are written from the rows of `record.Log`, which a checkpoint restores, so that none of them shows a point twice or
one that was undone. The event file is written whole each time; the others are given the rows that they haven't got. A
tracker that fails is left out by the rest of its process, and never fails a run.
"""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import struct
import time
import warnings
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol

from repro import columns
from repro.errors import UserError
from repro.spec import RunSpec
from repro.store.folder import Folder

SCALARS = ("loss_train", "loss_eval", "lr", "density", "grad_norm")
KEPT = "trackers.json"  # in the run's folder: by tracker, the id by which it knows the run, and what it failed with
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # of a run, to MLflow and to W&B, which names folders after it
EVENTS = re.compile(r"events\.out\.tfevents\.\d{1,11}")
AT_ONCE = 100  # rows to MLflow, which takes 1,000 values
_failed: dict[str, str] = {}  # trackers that this process leaves out, and why

Row = dict[str, Any]


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


class Tracker(Protocol):
    """Where curves are shown."""

    def write(self, rows: Sequence[Row]) -> None:
        """Shows rows of the curve that this process has not given it before."""

    def close(self, ended_well: bool) -> None: ...


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


class TensorBoard:
    """One event file in the run's folder `tensorboard/`, replaced as a whole, so that readers never see half a file.

    Its times are that of the first writing plus the duration of the steps, so that a resumed run writes the same file.
    """

    def __init__(self, spec: RunSpec, run: Folder, _: str | None):
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import hparams

        self.event, self.spec, self.folder = Event, spec, run / "tensorboard"
        named = f"events.out.tfevents.{time.time():.0f}"
        self.name = next((name for name in self.folder.names() if EVENTS.fullmatch(name)), named)
        self.time, self.step = float(self.name.rsplit(".", 1)[1]), 0
        self.data = self._record(file_version="brain.Event:2")
        for summary in hparams(settings(spec), dict.fromkeys(("loss_train", "loss_eval"))):
            self.data += self._record(summary=summary)

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.time += (row["step"] - self.step) * row["ms"] / 1e3
            self.step = row["step"]
            values = [{"tag": tag, "simple_value": value} for tag, value in scalars(row, self.spec)]
            self.data += self._record(step=self.step, summary={"value": values})
        self.folder.write(self.name, self.data)

    def close(self, ended_well: bool) -> None: ...

    def _record(self, **event: Any) -> bytes:
        """An event as a TFRecord: length, its checksum, data, its checksum."""
        from tensorboardX.record_writer import masked_crc32c

        data = self.event(wall_time=self.time, **event).SerializeToString()
        length = struct.pack("<Q", len(data))
        return b"".join(
            (length, struct.pack("<I", masked_crc32c(length)), data, struct.pack("<I", masked_crc32c(data)))
        )


class MLflow:
    """A run of the MLflow experiment that MLFLOW_EXPERIMENT_NAME or the sweep names, wherever MLFLOW_TRACKING_URI says."""

    def __init__(self, spec: RunSpec, run: Folder, known: str | None):
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # of seven, a run waits for minutes
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self.client, self.spec, self.last = MlflowClient(), spec, 0
        if known is not None:
            self.id = known
            self.client.update_run(self.id, status="RUNNING")
            self.last = max((m.step for m in self.client.get_metric_history(self.id, "loss_train")), default=0)
            return
        experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or sweep_of(run))
        self.id = self.client.create_run(experiment, run_name=spec.run_id, tags={"folder": str(run)}).info.run_id
        self.client.log_batch(self.id, params=[Param(key, str(value)) for key, value in settings(spec).items()])

    def write(self, rows: Sequence[Row]) -> None:
        from mlflow.entities import Metric

        now = int(1e3 * time.time())
        new = [row for row in rows if row["step"] > self.last]
        for i in range(0, len(new), AT_ONCE):
            some = new[i : i + AT_ONCE]
            metrics = [Metric(tag, value, now, row["step"]) for row in some for tag, value in scalars(row, self.spec)]
            self.client.log_batch(self.id, metrics=metrics)

    def close(self, ended_well: bool) -> None:
        self.client.set_terminated(self.id, "FINISHED" if ended_well else "FAILED")

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return self.client.create_experiment(name)
            except MlflowException:  # another lane was faster
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        return found.experiment_id


class WandB:
    """A run of the W&B project that WANDB_PROJECT or else the sweep names; W&B's other variables apply as usual.

    Offline, each start leaves a folder with the whole curve, of which the last one is to be given to `wandb sync`.
    """

    def __init__(self, spec: RunSpec, run: Folder, known: str | None):
        import wandb

        self.spec, self.id = spec, known or secrets.token_hex(4)
        if run.is_local:
            os.makedirs(run.path, exist_ok=True)
        self.writer = wandb.init(
            id=self.id,
            resume="allow",
            reinit="create_new",
            project=os.environ.get("WANDB_PROJECT") or sweep_of(run),
            name=spec.run_id,
            config=settings(spec),
            dir=os.environ.get("WANDB_DIR") or (run.path if run.is_local else None),
            settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True),
        )
        self.first = self.writer.step  # what the server hasn't got

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if row["step"] >= self.first:
                self.writer.log(dict(scalars(row, self.spec)), step=row["step"])

    def close(self, ended_well: bool) -> None:
        self.writer.finish(exit_code=0 if ended_well else 1)


def scalars(row: Row, spec: RunSpec) -> Iterator[tuple[str, float]]:
    """Tag and value of each number of a row that is shown; null is left out."""
    yield from ((tag, float(row[tag])) for tag in SCALARS if row[tag] is not None)
    if row["ms"] > 0:
        yield "tokens_per_second", 1e3 * spec.tokens_per_step / row["ms"]


def settings(spec: RunSpec) -> dict[str, str | int | float]:
    """What the plan knows of a run, by column of the runs table; null is left out."""
    known = {name: value for name, value in columns.planned(spec).items() if value is not None}
    return {name: "+".join(value) if isinstance(value, list) else value for name, value in known.items()}


def sweep_of(run: Folder) -> str:
    """The name of a run's sweep, from its folder SWEEP/runs/RUN_ID; for other folders, the name of the parent."""
    *_, outer, inner, _ = f"/runs/{run.path}".rstrip("/").split("/")
    return outer if inner == "runs" else inner
