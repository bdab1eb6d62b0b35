"""Resources: where and how a run is executed. None of it bears identity."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from repro import bounds
from repro.errors import UserError
from repro.spec import RunSpec


@dataclass(frozen=True)
class Resources:
    """Where and how a run is executed.

    device: "auto" is cuda where there is one. workers: data-parallel processes of a run. workers_by_size: those of
    single sizes, by label. sizing: "plan" gives each run, on GPUs, the workers and the micro-batch that the plan gives
    it (sweeps/placement.py), instead of those declared. micro_batch: sequences a worker takes at once; null takes its
    whole share. compile: torch.compile, which needs a C++ compiler. lanes: runs at once; null is as many as there are
    cores or GPUs for. checkpoint_every: steps. retries: how often a run whose worker died is tried again, each time
    after twice as long a pause.
    keep_checkpoints: how many of a run that is still training; of a finished one the last is kept.
    out_of_memory: "retry" goes on with smaller micro-batches (more accumulation, the same batch; equal within the
    noise of summing in another order), "fail" ends the run and says which micro-batch to try.
    trackers: shown in these too, beside TensorBoard; they must be installed.
    spike: nats by which a step's loss may exceed the lowest mean of any ten steps before it; null allows any.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = 1
    workers_by_size: dict[str, int] = field(default_factory=dict)
    sizing: Literal["declared", "plan"] = "declared"
    zero_stage: Literal[0, 1, 2, 3] = 1
    micro_batch: int | None = None
    compile: bool = False
    lanes: int | None = None
    checkpoint_every: int = 1000
    retries: int = 3
    keep_checkpoints: int = 2
    out_of_memory: Literal["retry", "fail"] = "retry"
    spike: float | None = 5.0
    trackers: tuple[Literal["mlflow", "wandb"], ...] = ()

    def __post_init__(self) -> None:
        bounds.all_within(
            self,
            {
                "workers": (1, bounds.PROCESSES, "processes"),
                "lanes": (1, bounds.PROCESSES, "runs"),
                "checkpoint_every": (1, bounds.STEPS, "steps"),
                "micro_batch": (1, bounds.STEPS, "sequences"),
                "retries": (0, 1000, "times"),
                "keep_checkpoints": (1, bounds.STEPS, "checkpoints"),
            },
        )
        for label, count in self.workers_by_size.items():
            bounds.within(f"workers_by_size.{label}", count, 1, bounds.PROCESSES, "processes")
        bounds.positive("spike", self.spike, "nats")

    def of(self, spec: RunSpec) -> Resources:
        """Those of one run, with its count of workers."""
        return replace(self, workers=self.workers_by_size.get(spec.size, self.workers), workers_by_size={})

    def share(self, spec: RunSpec) -> tuple[int, int]:
        """Sequences of a batch that a worker takes, and how many of them at once.

        Raises:
            UserError: the batch or the precision of `spec` doesn't go with these resources.
        """
        batch = spec.optimizer.batch
        workers = self.of(spec).workers
        if batch % workers:
            raise UserError(
                f"the batch of {spec.run_id} doesn't divide over the workers",
                key=f"workers_by_size.{spec.size}" if spec.size in self.workers_by_size else "workers",
                found=f"{batch} sequences on {workers} workers",
                expected=f"a divisor of {batch}",
            )
        share = batch // workers
        micro = min(self.micro_batch or share, share)
        if share % micro:
            raise UserError(
                f"the micro-batch doesn't divide a worker's share of {spec.run_id}",
                key="micro_batch",
                found=micro,
                expected=f"a divisor of {share}",
            )
        return share, micro
