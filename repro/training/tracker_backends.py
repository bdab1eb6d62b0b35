"""Tracker backends: TensorBoard event files, MLflow and Weights & Biases."""

from __future__ import annotations

import os
import re
import secrets
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from repro import columns
from repro.spec import RunSpec
from repro.store.folder import Folder

SCALARS = ("loss_train", "loss_eval", "lr", "density", "grad_norm")
EVENTS = re.compile(r"events\.out\.tfevents\.\d{1,11}")
AT_ONCE = 100  # rows per call to MLflow, which takes 1,000 values

Row = dict[str, Any]


class Tracker(Protocol):
    """A backend that shows curves."""

    def write(self, rows: Sequence[Row]) -> None:
        """Logs curve rows that this process has not passed before."""

    def close(self, ended_well: bool) -> None: ...


class TensorBoard:
    """One event file in the run's folder `tensorboard/`, replaced atomically.

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
        of_length, of_data = (struct.pack("<I", masked_crc32c(part)) for part in (length, data))
        return length + of_length + data + of_data


class MLflow:
    """A run of the MLflow experiment MLFLOW_EXPERIMENT_NAME, by default the sweep's name, at MLFLOW_TRACKING_URI."""

    def __init__(self, spec: RunSpec, run: Folder, known: str | None):
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the default of 7 means waiting for minutes
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
    """A run of the W&B project WANDB_PROJECT, by default the sweep's name; W&B's other variables apply as usual.

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
        self.first = self.writer.step  # the first step that the server doesn't have

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if row["step"] >= self.first:
                self.writer.log(dict(scalars(row, self.spec)), step=row["step"])

    def close(self, ended_well: bool) -> None:
        self.writer.finish(exit_code=0 if ended_well else 1)


def scalars(row: Row, spec: RunSpec) -> Iterator[tuple[str, float]]:
    """Tag and value of each number of a row to show; nulls are left out."""
    yield from ((tag, float(row[tag])) for tag in SCALARS if row[tag] is not None)
    if row["ms"] > 0:
        yield "tokens_per_second", 1e3 * spec.tokens_per_step / row["ms"]


def settings(spec: RunSpec) -> dict[str, str | int | float]:
    """A run's planned values, by column of the runs table; nulls are left out."""
    known = {name: value for name, value in columns.planned(spec).items() if value is not None}
    return {name: "+".join(value) if isinstance(value, list) else value for name, value in known.items()}


def sweep_of(run: Folder) -> str:
    """The name of a run's sweep, from its folder SWEEP/runs/RUN_ID; for other folders, the name of the parent."""
    *_, outer, inner, _ = f"/runs/{run.path}".rstrip("/").split("/")
    return outer if inner == "runs" else inner
