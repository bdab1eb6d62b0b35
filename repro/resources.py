"""Resources: where and how a run is executed. None of it bears identity."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated, Literal

from repro import strict
from repro.bounds import PROCESSES, STEPS
from repro.errors import UserError
from repro.spec import RunSpec
from repro.strict import Above, Between

Stage = Literal[0, 1, 2, 3]
Processes = Annotated[int, Between(1, PROCESSES, "processes")]


@strict.dataclass
class Resources:
    """Where and how a run is executed."""

    device: Annotated[Literal["auto", "cpu", "cuda"], '"auto" is cuda where there is one'] = "auto"
    workers: Annotated[Processes, "data-parallel processes of a run"] = 1
    workers_by_size: Annotated[dict[str, Processes], "workers of single sizes, by label"] = field(default_factory=dict)
    sizing: Annotated[
        Literal["declared", "plan"],
        '"plan" gives each run, on GPUs, the workers and the micro-batch that the plan gives it (sweeps/placement.py), '
        "instead of those declared",
    ] = "declared"
    zero_stage: Annotated[Stage, "ZeRO stage: what DeepSpeed shards over the workers"] = 1
    micro_batch: Annotated[
        int | None, Between(1, STEPS, "sequences"), "sequences a worker takes at once; null takes its whole share"
    ] = None
    compile: Annotated[bool, "torch.compile, which needs a C++ compiler"] = False
    lanes: Annotated[
        int | None, Between(1, PROCESSES, "runs"), "runs at once; null is as many as there are cores or GPUs for"
    ] = None
    checkpoint_every: Annotated[int, Between(1, STEPS, "steps"), "steps between checkpoints"] = 1000
    retries: Annotated[
        int,
        Between(0, 1000, "times"),
        "how often a run whose worker died is tried again, each time after twice as long a pause",
    ] = 3
    keep_checkpoints: Annotated[
        int,
        Between(1, STEPS, "checkpoints"),
        "checkpoints kept of a run that is still training; of a finished one the last is kept",
    ] = 2
    out_of_memory: Annotated[
        Literal["retry", "fail"],
        '"retry" goes on with smaller micro-batches (more accumulation, the same batch; equal within the noise of summing '
        'in another order), "fail" ends the run and says which micro-batch to try',
    ] = "retry"
    spike: Annotated[
        float | None,
        Above(0, "nats"),
        "nats by which a step's loss may exceed the lowest mean of any ten steps before it; null allows any",
    ] = 5.0
    trackers: Annotated[
        tuple[Literal["mlflow", "wandb"], ...],
        "trackers that runs are shown in beside TensorBoard; they must be installed",
    ] = ()

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
