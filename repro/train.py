"""The loop: one function that trains one spec, under Ray Train or with no Ray at all."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from repro import checkpoint, evaluate, model, record, strict, zero
from repro.corpus import Corpus
from repro.corpus.packing import IGNORED
from repro.errors import UserError
from repro.pruning.pruner import Pruner
from repro.run_folder import RunFailed, RunFolder
from repro.spec import Resources, RunSpec
from repro.storage import Folder

HEARTBEAT = 2.0  # seconds between two writings of status.json


def train_loop(config: dict[str, Any]) -> dict[str, Any]:
    """What Ray Train runs on every worker.

    Args:
        config: `spec` and `resources` as mappings, `folder` (URI of the run's folder), `corpus` (local path).

    Returns:
        The row of run.parquet.
    """
    spec = strict.build(RunSpec, config["spec"])
    resources = strict.build(Resources, config["resources"])
    return train(spec, Folder.open(config["folder"]), Corpus(Path(config["corpus"])), resources)


def train(spec: RunSpec, folder: Folder, text: Corpus, resources: Resources) -> dict[str, Any]:
    """Trains one spec to its end and writes its tables; goes on from a checkpoint if there is one.

    Raises:
        UserError: the spec can't be trained here (the batch doesn't divide, the corpus is too short).
        RunFailed: the loss is not finite, or what was measured is not what the schedule promised.
    """
    run = RunFolder(folder)
    text.check(spec.tokens, spec.repeat, spec.run_id)
    _, micro = resources.share(spec)
    device = zero.device_of(resources)
    with zero.process_group(device):
        began = time.perf_counter()
        if dist.get_rank() == 0:
            run.begin(spec, text.hash)
        try:
            engine = _engine(spec, resources, device)
            try:
                return _Trainer(spec, run, text, resources, engine, micro, began).fit()
            finally:
                zero.close(engine)
        except (RunFailed, FloatingPointError, UserError) as error:
            if dist.get_rank() == 0:
                run.progress("failed", reason=str(error))
            raise


def _engine(spec: RunSpec, resources: Resources, device: torch.device) -> Any:
    network = model.build(spec.model, spec.seed)
    if resources.compile:
        network.compile()
    share, micro = resources.share(spec)
    return zero.engine(network, spec.optimizer, resources, spec.precision, micro, share // micro, device)


class _Trainer:
    """State of one run on one rank."""

    def __init__(
        self, spec: RunSpec, run: RunFolder, text: Corpus, resources: Resources, engine: Any, micro: int, began: float
    ):
        self.spec, self.run, self.text, self.resources, self.began = spec, run, text, resources, began
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.engine, self.micro = engine, micro
        self.share = spec.optimizer.batch // self.world
        self.accumulation = self.share // micro
        self.identity = f"{spec.fingerprint} on {text.hash}"
        self.pruner = Pruner(engine, spec.schedule, spec.pruning, spec.seed)
        self.blocks = text.heldout_blocks(spec.evaluation.blocks, spec.evaluation.block_sequences)
        self.log = record.Log()

    def fit(self) -> dict[str, Any]:
        spec, total = self.spec, self.spec.schedule.total_steps
        found = checkpoint.restore(self.run.folder / "checkpoint", self.engine, self.pruner, self.identity)
        first = 0
        if found is not None:
            first, self.log = found.step, record.Log(**found.rows)
        setup, entered, beat = time.perf_counter() - self.began, time.perf_counter(), 0.0
        already = self.log.seconds
        for step in range(first, total):
            if step > first and step % self.resources.checkpoint_every == 0:
                self._save(step)
            self._step(step, total)
            self.log.seconds = already + time.perf_counter() - entered
            if self.rank == 0 and self.log.seconds - beat > HEARTBEAT:
                beat = self.log.seconds
                self.run.progress(
                    "running",
                    step=step + 1,
                    total_steps=total,
                    tokens_per_second=(step + 1 - first) * spec.tokens_per_step / (self.log.seconds - already),
                )
        losses, counts = self._evaluate()
        if not np.isfinite(losses).all():
            raise RunFailed(f"the held-out loss is not finite after {total} steps")
        self.log.seconds = already + time.perf_counter() - entered
        self._verify()
        self._save(total)
        device = torch.cuda.get_device_name() if self.engine.device.type == "cuda" else "cpu"
        row = record.run_row(
            spec,
            self.text,
            self.resources,
            self.log,
            losses,
            counts,
            world=self.world,
            device=device,
            seconds_setup=setup + time.perf_counter() - entered - (self.log.seconds - already),
        )
        if self.rank == 0:
            record.write(self.run.folder, row, self.log)
            self.run.progress("done", step=total, total_steps=total)
        dist.barrier()
        return row

    def _step(self, step: int, total: int) -> None:
        """One event if it is due, then one update."""
        spec, started = self.spec, time.perf_counter()
        event = spec.schedule.event_at(step)
        if event is not None:
            self.log.add_event(spec.run_id, event, step, self.pruner.event(event), self.pruner.sizes)
        lr = spec.optimizer.lr_at(step, total)
        zero.set_lr(self.engine, lr)
        loss = self._update(step)
        self.log.count(self.pruner.nonzero, spec.tokens_per_step, lr * spec.optimizer.weight_decay)
        self._record(step, total, lr, loss, started)

    def _record(self, step: int, total: int, lr: float, loss: torch.Tensor, started: float) -> None:
        """Logs a step that is due: one of the curve's, of the last 1%, or one after which the model is evaluated."""
        every = self.spec.evaluation.every
        last_percent, evaluated = step >= total - max(1, total // 100), every is not None and (step + 1) % every == 0
        if not (last_percent or evaluated or self.log.due(step, total)):
            return
        value, norm = self._mean(loss), self.engine.get_global_grad_norm()
        if not math.isfinite(value) or (norm is not None and not math.isfinite(norm)):
            raise RunFailed(f"loss {value} or gradient norm {norm} is not finite at step {step}")
        if last_percent:
            self.log.last_losses.append(value)
        ms = 1e3 * (time.perf_counter() - started)
        heldout = record.token_weighted(*self._evaluate()) if evaluated else None
        self.log.add_step(self.spec, step, lr, value, None if norm is None else float(norm), heldout, ms)

    def _update(self, step: int) -> torch.Tensor:
        """Forward, backward and update on this rank's share of the batch; this rank's part of the mean loss."""
        batch = self.spec.optimizer.batch
        rows = self.text.batch(step, batch, self.spec.seed, first=self.rank * self.share, count=self.share)
        tokens = self._batch_tokens(step, batch)
        total = torch.zeros((), device=self.engine.device)
        for first in range(0, self.share, self.micro):
            losses, _ = evaluate.token_losses(self.engine, self.text, rows[first : first + self.micro])
            # Every token of the global batch weighs the same; DeepSpeed averages over ranks and accumulation.
            loss = losses.sum() * (self.world * self.accumulation / tokens)
            self.engine.backward(loss)
            self.engine.step()
            if self.engine.skipped_steps:  # DeepSpeed leaves such an update out and goes on
                raise RunFailed(f"a gradient is not finite at step {step}")
            total += loss.detach() / (self.world * self.accumulation)
        return total

    def _batch_tokens(self, step: int, batch: int) -> int:
        """Tokens of the whole batch that bear loss; every rank finds the same number."""
        if self.spec.corpus.packing == "concatenate":
            return batch * self.spec.model.sequence
        labels = self.text.targets(self.text.batch(step, batch, self.spec.seed)).labels
        return int((labels != IGNORED).sum())

    def _mean(self, loss: torch.Tensor) -> float:
        if self.world > 1:
            dist.all_reduce(loss)
        return float(loss)

    def _evaluate(self) -> tuple[np.ndarray, np.ndarray]:
        # On a CPU a few more rows at once are faster; on a GPU the micro-batch is what fits.
        at_once = self.micro if self.engine.device.type == "cuda" else max(self.micro, 16)
        return evaluate.heldout(self.engine, self.text, self.blocks, at_once=at_once)

    def _save(self, step: int) -> None:
        checkpoint.save(
            self.run.folder / "checkpoint", self.engine, self.pruner, step, self.log.to_rows(), self.identity
        )

    def _verify(self) -> None:
        """Holds what was measured against what the schedule promised. Raises RunFailed."""
        schedule, total = self.spec.schedule, self.pruner.total
        prunable = [f for f in zero.fragments(self.engine) if f.name in self.pruner.masks]
        moved = [((f.master != 0) & ~self.pruner.mask_of(f)).sum() for f in prunable]
        stray = torch.stack([*moved, torch.zeros((), dtype=torch.int64, device=self.engine.device)]).sum()
        dist.all_reduce(stray)
        for what, measured, promised in (
            ("weights left", self.pruner.nonzero, schedule.n_final(total)),
            ("sum over steps of N_t", self.log.weight_steps, schedule.weight_steps(total)),
            ("tokens seen", self.log.tokens, self.spec.tokens),
            ("removed weights that moved", int(stray), 0),
        ):
            if measured != promised:
                raise RunFailed(f"{what}: measured {measured:,}, the schedule promised {promised:,}")
