"""Trainer: the training loop of one run on one rank."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from repro.pruning.pruner import Pruner
from repro.store.folder import Folder
from repro.store.run_folder import RunFailed, Stopped
from repro.training import checkpoint, checkpoint_manifest, checkpoint_rows, device_memory, record
from repro.training.batch import Batch, Batches
from repro.training.pace import Agreement, Heartbeat, Pace
from repro.training.passes import heldout, update
from repro.training.run import RunInProgress
from repro.training.trackers import Trackers
from repro.training.watch import WINDOW, Watch, verify
from repro.training.zero import DeepSpeedEngine


class Abandoned(Exception):
    """An update was left between two of its micro-batches: weights, moments and records are those of the step before."""


class Trainer:
    """The state of one run on one rank.

    Args:
        run: the run.
        engine: the engine of the run's model, with initialised weights.
        began: `time.perf_counter()` when the run began.
    """

    def __init__(self, run: RunInProgress, engine: DeepSpeedEngine, began: float):
        self.run, self.engine, self.began = run, engine, began
        self.spec = spec = run.spec
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.checkpoints, self.forks = run.place.folder / "checkpoint", run.place.folder / "forks"
        self.device = torch.cuda.get_device_name() if engine.device.type == "cuda" else "cpu"
        self.pruner = Pruner(engine, spec)
        self.blocks = run.text.heldout_blocks(spec.evaluation.blocks, spec.evaluation.block_sequences)
        self.batches = Batches(run, self.rank)
        self.log = record.Log()
        self.evaluated = 0, np.empty(0), np.empty(0)  # after how many updates; losses and token counts of the blocks
        self.heartbeat = Heartbeat(run.place, lambda: self.pace.facts(), run.asked)

    def fit(self) -> dict[str, Any]:
        """Trains to the end, resuming from a checkpoint if there is one. Returns the row of run.parquet. Collective.

        Raises:
            Stopped: the run was asked to stop, on every rank; the last step is in a checkpoint.
        """
        first = self.resume()
        shown = Trackers(self.spec, self.run.place.folder, self.log.curve, self.run.resources.trackers)
        with closing(self.batches), shown if self.rank == 0 else nullcontext() as trackers:
            return self._fit(first, trackers)

    def _fit(self, first: int, trackers: Trackers | None) -> dict[str, Any]:
        self.pace.start()
        resources, place = self.run.resources, self.run.place
        due = checkpoint.missing(self.forks, (*self.run.forks, *self.run.children), self.run.identity)
        if first == 0 and self.spec.start is not None:
            self.log.loss_parent = record.token_weighted(*self._evaluate())
        total, setup = self.spec.schedule.total_steps, self.pace.entered - self.began
        with self.heartbeat if self.rank == 0 else nullcontext():
            reached = self._train(first, due, trackers)
        if reached < total:
            self._stop(reached)
        self.watch.look()
        last, losses, counts = self.evaluated
        if last != total:
            losses, counts = self._evaluate()
        if not np.isfinite(losses).all():
            raise RunFailed(f"the held-out loss is not finite after {total} steps")
        self.log.seconds = self.pace.seconds
        verify(self.spec, self.pruner, self.log)
        self.log.thin(self.spec)
        self._checkpoint(total)
        self.run.text.recheck()
        outside = self.pace.seconds - self.log.seconds
        row = record.run_row(
            self.spec,
            self.run.text,
            resources,
            self.log,
            losses,
            counts,
            workers=self.world,
            device=self.device,
            micro_batch=self.run.micro,
            peak_memory=device_memory.peak(self.engine.device),
            seconds_setup=setup + outside,
            idle=self.pruner.idle() if self.spec.schedule.returns else None,
        )
        if trackers:
            trackers.finish(row["loss"])
        if self.rank == 0:
            hashes = record.write(place.folder, row, self.log)
            checkpoint.keep_last(self.checkpoints, 1, newest=total)
            place.finish(self.spec, self.run.text.hash, hashes)
        dist.barrier()
        return row

    def _train(self, first: int, due: set[int], trackers: Trackers | None) -> int:
        """Trains from step `first` to the end, or until the run is asked to stop. Returns the number of steps done.

        due: steps before which a checkpoint for other runs is to be saved.
        """
        total, every = self.spec.schedule.total_steps, self.run.resources.checkpoint_every
        for step in range(first, total):
            if step in due and (step in self.run.children or self.log.is_complete(step)):
                self._save(step, self.forks, keep=None)
            if self.agreement.save or (every is not None and step % every == 0):
                self._checkpoint(step)
                if trackers:
                    trackers.write()
                    self.pace.leave_out()
            try:
                self.step(step)
            except Abandoned:
                return step
            self.log.seconds = self.pace.seconds
            self.pace.reached(step + 1, self.log.seconds)
            self.agreement.micro_batch()
            if self.agreement.stop:
                return step + 1
        return total

    def _stop(self, step: int) -> None:
        total = self.spec.schedule.total_steps
        self._checkpoint(step)
        if self.rank == 0:
            self.run.place.progress("queued", step=step, total_steps=total)
        dist.barrier()
        raise Stopped(f"{self.spec.run_id} at step {step} of {total}")

    def _asked(self) -> bool:
        """Whether this rank has been asked to stop, without asking the store."""
        return self.run.signalled() or (self.rank == 0 and self.heartbeat.stop)

    def resume(self) -> int:
        """Restores the newest complete checkpoint and starts the clocks. Returns the first step. Collective."""
        found = checkpoint.restore(self.checkpoints, self.engine, self.pruner, self.run.identity)
        if found is not None:
            self.log = checkpoint_rows.restored(
                found.rows, self.spec, found.step, f"{found.place}/{checkpoint_manifest.ROWS}"
            )
        elif self.spec.start is not None:
            raise RunFailed("no complete checkpoint with the weights that the run starts from; run it again")
        self.watch = Watch(self.run.resources.spike, self.log.recent_losses, self.log.lowest_loss)
        self.agreement = Agreement(self._asked, self.run.resources.checkpoint_minutes, self.engine.device)
        self.saved = found.step if found is not None else 0
        self.pace = Pace(self.spec, self.world, self.device, self.saved, self.log.seconds)
        return self.saved

    def step(self, step: int) -> None:
        """An event if due, then one update."""
        spec, batches = self.spec, self.batches.of(step)
        event = spec.schedule.event_at(step)
        self.may_abandon = True
        if event is not None:
            kept = self.event(event, step, batches)
            self.log.add_event(spec.run_id, event, step, kept, self.pruner.sizes)
        self.may_abandon = event is None  # an event can't be undone
        lr = spec.optimizer.lr_at(step, spec.schedule)
        self.engine.set_lr(lr)
        loss = update(spec, self.engine, batches, step, self._between)
        self.watch.add(step, loss, self.engine.grad_norm())
        self.log.count(self.pruner.nonzero, spec.tokens_per_step, lr * spec.optimizer.weight_decay)
        self._record(step, lr)

    def event(self, event: int, step: int, batches: Sequence[Batch]) -> dict[str, int]:
        """Applies an event before the forward pass of `step`. Returns the weights left in each prunable tensor. Collective.

        What returns weights by gradient takes the dense one of the step's own batch, as RigL does, in a pass of its own at the
        weights before the event: it needs no state, so that resuming changes nothing, and costs one update's time.

        Args:
            batches: this rank's micro-batches of `step`.
        """
        return self.pruner.event(
            event, lambda: self.engine.gradients(lambda: update(self.spec, self.engine, batches, step, self._between))
        )

    def _between(self) -> None:
        """Called between two micro-batches of an update. Raises Abandoned if the run stops here."""
        self.agreement.micro_batch()
        if self.agreement.stop and self.may_abandon:
            raise Abandoned

    def _record(self, step: int, lr: float) -> None:
        """Checks the losses when due; logs every step until the last fork, then those of the curve."""
        logged = step < max(self.run.forks, default=0) or record.logged(self.spec, step)
        if not logged and self.watch.waiting < WINDOW:
            return
        seen = self.watch.look()
        ms = self.pace.milliseconds(len(seen))
        if logged:
            loss, norm = seen[-1]
            if step >= self.spec.last_percent:
                self.log.last_losses.append(loss)
            heldout = None
            if self.spec.is_evaluated(step):
                self.evaluated = step + 1, *self._evaluate()
                heldout = record.token_weighted(*self.evaluated[1:])
            self.log.add_step(self.spec, step, lr, loss, norm, heldout, ms)
        self.pace.leave_out()

    def _evaluate(self) -> tuple[np.ndarray, np.ndarray]:
        engine, run = self.engine, self.run
        return heldout(engine.losses, engine.device, run.text, self.blocks, run.micro, self.rank, self.world)

    def _checkpoint(self, step: int) -> None:
        """Saves a checkpoint to resume from, unless the newest one is of this step already."""
        if step != self.saved:
            self._save(step, self.checkpoints, self.run.resources.keep_checkpoints)
            self.saved = step
        self.agreement.saved()

    def _save(self, step: int, folder: Folder, keep: int | None) -> None:
        """Saves a checkpoint after checking that losses are in bounds and all masters and moments finite."""
        self.watch.look()
        broken = torch.tensor(
            [sum(not t.isfinite().all() for f in self.engine.fragments() for t in f.tensors.values())],
            device=self.engine.device,
        )
        dist.all_reduce(broken)
        if broken:
            raise RunFailed(f"weights or moments are not finite before step {step}")
        self.log.recent_losses, self.log.lowest_loss = self.watch.recent, self.watch.lowest
        checkpoint.save(folder, self.engine, self.pruner, step, self.log.to_rows(), self.run.identity, keep)
        self.pace.leave_out()
