"""Resources: where and how a run is executed. They aren't part of a run's identity."""

from __future__ import annotations

from dataclasses import field, replace
from fractions import Fraction
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

    device: Annotated[Literal["auto", "cpu", "cuda"], 'device of the run; "auto" is cuda if available'] = "auto"
    workers: Annotated[Processes, "data-parallel processes per run"] = 1
    workers_by_size: Annotated[dict[str, Processes], "other numbers of workers, by size label"] = field(
        default_factory=dict
    )
    sizing: Annotated[
        Literal["declared", "plan"],
        'whether runs on GPUs have the workers and micro-batch "declared" here, or those that the "plan" chooses '
        "(sweeps/placement.py)",
    ] = "declared"
    zero_stage: Annotated[Stage, "ZeRO stage: which state DeepSpeed shards over the workers"] = 1
    micro_batch: Annotated[
        int | None,
        Between(1, STEPS, "sequences"),
        "sequences per worker and forward pass; null: the worker's whole share of the batch",
    ] = None
    compile: Annotated[
        bool | Literal["auto"],
        "whether to use torch.compile, which needs a C++ compiler and about 30 s for each model shape; not with ZeRO stage 3. "
        '"auto" compiles if there is a compiler and the sweep\'s runs of a shape have at least 10,000 steps together; a run '
        "may then differ in the fourth decimal of its loss when other runs of its shape are added or removed",
    ] = False
    deterministic: Annotated[
        bool,
        "whether to use only deterministic kernels, which are slower, so that resumption is exact to the bit on a GPU as well; "
        "on a CPU it always is",
    ] = False
    lanes: Annotated[
        int | None, Between(1, PROCESSES, "runs"), "concurrent runs; null: as many as the cores or GPUs allow"
    ] = None
    runs_per_gpu: Annotated[
        int,
        Between(1, 64, "runs"),
        "how many single-worker runs share a GPU, each with its part of the memory; a run with more workers never shares one",
    ] = 1
    checkpoint_minutes: Annotated[
        float, Above(0, "minutes"), "minutes between checkpoints: the most that a run loses when its machine fails"
    ] = 10.0
    checkpoint_every: Annotated[
        int | None,
        Between(1, STEPS, "steps"),
        "also save a checkpoint at every multiple of this number of steps, for `repro train --fork --at`; null: by minutes only",
    ] = None
    retries: Annotated[
        int,
        Between(0, 1000, "times"),
        "how often a run whose worker died is retried, after pauses that double each time; a later checkpoint sets the count "
        "back to 0",
    ] = 3
    keep_checkpoints: Annotated[
        int,
        Between(1, STEPS, "checkpoints"),
        "checkpoints kept while a run trains; a finished run keeps only the last",
    ] = 2
    out_of_memory: Annotated[
        Literal["retry", "fail"],
        'when memory runs out: "retry" continues with smaller micro-batches and more accumulation steps, which is the same '
        'batch up to rounding; "fail" ends the run and suggests a micro-batch',
    ] = "retry"
    spike: Annotated[
        float | None,
        Above(0, "nats"),
        "nats by which a step's training loss may exceed the lowest mean of ten earlier steps before the run fails; null: no limit",
    ] = 5.0
    trackers: Annotated[
        tuple[Literal["mlflow", "wandb"], ...],
        "experiment trackers to log to besides TensorBoard; they must be installed",
    ] = ()

    def __post_init__(self) -> None:
        if self.compile and self.zero_stage == 3:
            # Its hooks gather and release weights around every layer: over a hundred graphs, each with its own guards.
            found = "true with zero_stage: 3"
            expected = "zero_stage: 2, or compile: false"
            raise UserError("ZeRO stage 3 can't be compiled", key="compile", found=found, expected=expected)

    def of(self, spec: RunSpec) -> Resources:
        """The resources of one run, with its number of workers."""
        return replace(self, workers=self.workers_by_size.get(spec.size, self.workers), workers_by_size={})

    def devices(self, gpu: bool) -> Fraction:
        """The devices that one run occupies: a core or a GPU for each worker, or its part of a shared GPU."""
        if gpu and self.workers == 1:
            return Fraction(1, self.runs_per_gpu)
        return Fraction(self.workers)

    def share(self, spec: RunSpec) -> tuple[int, int]:
        """A worker's sequences per batch, and per forward pass (micro-batch).

        Raises:
            UserError: the batch doesn't divide over the workers, or a worker's share into micro-batches.
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
            message = f"the micro-batch doesn't divide a worker's share of {spec.run_id}"
            raise UserError(message, key="micro_batch", found=micro, expected=f"a divisor of {share}")
        return share, micro
