"""The rows of a run's three tables."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from repro import columns, ladder, schemas, tables
from repro.column import Trained
from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.training import hardware
from repro.training.provenance import provenance

CURVE_POINTS = 200
SURGERY = "surgery.json"  # file in a run's folder with the record of the surgery that it began with


@dataclass
class Log:
    """Rows and sums recorded so far; JSON-serialisable, to be restored from a checkpoint.

    weight_steps: measured sum over steps of N_t. tokens: tokens trained on. lr_wd_sum: sum of lr * weight decay.
    recent_losses, lowest_loss: state of watch.Watch. forked_from, forked_step: the run and step of the checkpoint that
    this run continued from. loss_parent: held-out loss of the weights that it starts from, in nats/token. loss_before: that of
    them before surgery. surgery: its record.
    """

    curve: list[dict[str, Any]] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    last_losses: list[float] = field(default_factory=list)
    weight_steps: int = 0
    tokens: int = 0
    lr_wd_sum: float = 0.0
    seconds: float = 0.0
    recent_losses: list[float] = field(default_factory=list)
    lowest_loss: float | None = None
    forked_from: str | None = None
    forked_step: int | None = None
    loss_parent: float | None = None
    loss_before: float | None = None
    surgery: dict[str, Any] | None = None

    def count(self, nonzero: int, tokens: int, lr_wd: float) -> None:
        self.weight_steps += nonzero
        self.tokens += tokens
        self.lr_wd_sum += lr_wd

    def is_complete(self, step: int) -> bool:
        """Whether every step before `step` was logged, so that a fork has all rows that it needs."""
        return len(self.curve) == step

    def thin(self, spec: RunSpec) -> None:
        """Drops rows that were logged only for forks."""
        complete = sum(row["step"] == i + 1 for i, row in enumerate(self.curve))
        self.curve = [row for row in self.curve[:complete] if logged(spec, row["step"] - 1)] + self.curve[complete:]

    def add_step(
        self, spec: RunSpec, step: int, lr: float, loss: float, norm: float | None, heldout: float | None, ms: float
    ) -> None:
        self.curve.append(
            {
                "run_id": spec.run_id,
                "step": step + 1,
                "tokens": self.tokens,
                "effective_flops": ladder.effective_flops(self.weight_steps, spec.tokens_per_step),
                "density": spec.schedule.density(step),
                "lr": lr,
                "loss_train": loss,
                "grad_norm": norm,
                "loss_eval": heldout,
                "ms": ms,
            }
        )

    def before_training(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """The curve's row of D = 0, the one-shot loss, of a run that begins with surgery; none of others.

        Args:
            row: the run's.
        """
        if self.surgery is None:
            return []
        counts = {
            "run_id": row["run_id"],
            "step": 0,
            "tokens": 0,
            "effective_flops": 0.0,
            "loss_eval": self.loss_parent,
        }
        return [dict.fromkeys(schemas.SCHEMAS["curves"].names) | counts]

    def add_event(self, run_id: str, event: int, step: int, kept: dict[str, int], sizes: dict[str, int]) -> None:
        self.layers += [
            {"run_id": run_id, "event": event, "step": step, "tensor": name, "size": sizes[name], "kept": count}
            for name, count in kept.items()
        ]

    def to_rows(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def logged(spec: RunSpec, step: int) -> bool:
    """Whether `step` gets a curve row: about CURVE_POINTS per run, the last 1%, and evaluated steps."""
    every = max(1, spec.schedule.total_steps // CURVE_POINTS)
    return step % every == 0 or step >= spec.last_percent or spec.is_evaluated(step)


def token_weighted(losses: np.ndarray, counts: np.ndarray) -> float:
    """Mean loss over tokens from per-block means and counts."""
    return float((losses * counts).sum() / counts.sum())


def run_row(
    spec: RunSpec,
    text: Corpus,
    resources: Resources,
    log: Log,
    losses: np.ndarray,
    counts: np.ndarray,
    *,
    workers: int,
    device: str,
    **measured: Any,
) -> dict[str, Any]:
    """The row of run.parquet. Sweep and studies are filled in later (tables.collect).

    Args:
        losses, counts: (blocks,) held-out losses in nats/token, and numbers of tokens.
        measured: the other fields of `Trained`.
    """
    executed = ladder.executed_flops(spec.model.shape, log.tokens, spec.model.sequence)
    return columns.row(
        Trained(
            spec=spec,
            corpus_hash=text.hash,
            unique_tokens=text.unique_tokens,
            weight_steps=log.weight_steps,
            tokens=log.tokens,
            lr_wd_sum=log.lr_wd_sum,
            loss=token_weighted(losses, counts),
            loss_se=float(losses.std(ddof=1) / len(losses) ** 0.5),
            loss_blocks=losses.tolist(),
            loss_train=float(np.mean(log.last_losses)),
            seconds=log.seconds,
            mfu=hardware.mfu(executed, log.seconds, workers, device, spec.precision),
            workers=workers,
            zero_stage=resources.zero_stage,
            forked_from=log.forked_from,
            forked_step=log.forked_step,
            loss_parent=log.loss_parent,
            loss_before=log.loss_before,
            device=device,
            **measured,
        )
    )


def write(folder: Folder, row: dict[str, Any], log: Log) -> dict[str, str]:
    """Writes the three tables and the provenance of one run. Returns the hashes of the tables, by file name."""
    parts: dict[str, tuple[schemas.Table, list[dict[str, Any]]]] = {
        "run.parquet": ("runs", [row]),
        "curve.parquet": ("curves", [*log.before_training(row), *log.curve]),
        "layers.parquet": ("layers", log.layers),
    }
    hashes = {name: tables.write(folder, name, table, rows) for name, (table, rows) in parts.items()}
    folder.write_json("provenance.json", provenance())
    if log.surgery is not None:
        folder.write_json(SURGERY, log.surgery)
    return hashes
