"""Resources: where and how a run is executed. None of it bears identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repro.errors import UserError
from repro.spec import RunSpec


@dataclass(frozen=True)
class Resources:
    """Where and how a run is executed.

    device: "auto" is cuda where there is one. workers: data-parallel processes. micro_batch: sequences a
    worker takes at once; null takes its whole share. compile: torch.compile, which needs a C++ compiler.
    lanes: runs at once on this machine; null is one a core (CPU) or one a GPU. checkpoint_every: steps.
    retries: how often a run whose worker died is tried again.
    keep_checkpoints: how many of a run that is still training; of a finished one the last is kept.
    out_of_memory: "retry" goes on with smaller micro-batches (more accumulation, the same batch; equal within the
    noise of summing in another order), "fail" ends the run and says which micro-batch to try.
    trackers: shown in these too, beside TensorBoard; they must be installed.
    spike: nats by which a step's loss may exceed the lowest mean of any ten steps before it; null allows any.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = 1
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
        least = {"workers": 1, "checkpoint_every": 1, "micro_batch": 1, "lanes": 1, "retries": 0, "keep_checkpoints": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise UserError("value out of range", key=name, found=value, expected=f"at least {bound}")
        if self.spike is not None and self.spike <= 0:
            raise UserError("value out of range", key="spike", found=self.spike, expected="more than 0 nats, or null")

    def share(self, spec: RunSpec) -> tuple[int, int]:
        """Sequences of a batch that a worker takes, and how many of them at once.

        Raises:
            UserError: the batch or the precision of `spec` doesn't go with these resources.
        """
        batch = spec.optimizer.batch
        if batch % self.workers:
            raise UserError(
                f"the batch of {spec.run_id} doesn't divide over the workers",
                key="workers",
                found=f"{batch} sequences on {self.workers} workers",
                expected=f"a divisor of {batch}",
            )
        share = batch // self.workers
        micro = min(self.micro_batch or share, share)
        if share % micro:
            raise UserError(
                f"the micro-batch doesn't divide a worker's share of {spec.run_id}",
                key="micro_batch",
                found=micro,
                expected=f"a divisor of {share}",
            )
        return share, micro
