"""RunSpec: the complete specification of one run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from repro import strict
from repro.bounds import SEEDS, STEPS
from repro.errors import UserError
from repro.paths import check_name, expand
from repro.schedule import PruningSchedule
from repro.spec.corpus import CorpusSpec
from repro.spec.feasible import check_model, check_pruning, check_surgery
from repro.spec.identity import LABEL, LATER, canonical
from repro.spec.lineage import Lineage, ModelStart, SurgeryKey
from repro.spec.model import ModelSpec
from repro.spec.pruning import PruningSpec
from repro.spec.surgery import SurgerySpec
from repro.spec.training import EvalSpec, OptimizerSpec
from repro.strict import Between, ByKey, Form, Refusal, dataclass

Precision = Literal["fp32", "bf16"]
MOST_ANCESTORS = 16  # maximum chain length: each run's spec is nested in the next one's


def _run_spec(value: Any) -> Any:
    """A RunSpec, unchanged or built from its mapping."""
    if isinstance(value, RunSpec):
        return value
    try:
        return from_kept(value)
    except UserError as error:
        raise Refusal(error) from error


@dataclass
class RunStart:
    """The weights of another run, identified by its spec and a step; the run may not be trained yet."""

    fingerprint: Annotated[str, Form(pattern="^[0-9a-f]{16}$", said="16 hexadecimal digits"), "fingerprint of its spec"]
    step: Annotated[int, Between(1, STEPS, "steps"), "training steps that it had done"]
    parent: Annotated[Any, BeforeValidator(_run_spec), "its spec"] = field(metadata=LABEL)
    surgery: SurgeryKey = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if self.parent.fingerprint != self.fingerprint:
            found = self.fingerprint
            expected = f"{self.parent.fingerprint}, of {self.parent.run_id}"
            raise UserError("the spec doesn't match its fingerprint", key="fingerprint", found=found, expected=expected)
        if self.step > (total := self.parent.schedule.total_steps):
            message = f"a step that {self.parent.run_id} doesn't have"
            raise UserError(message, key="step", found=self.step, expected=f"1 to {total:,}, or end")


@dataclass
class RunSpec(Lineage):
    """One run. `run_id`, `size`, `budget` and `family` are labels; everything else is part of its identity."""

    run_id: str = field(metadata=LABEL)
    size: str = field(metadata=LABEL)
    budget: str = field(metadata=LABEL)
    model: ModelSpec
    corpus: CorpusSpec
    optimizer: OptimizerSpec
    pruning: PruningSpec
    dense_steps: Annotated[
        int, Between(1, STEPS, "steps"), "steps of the corresponding dense run, whose compute a sparse run gets"
    ]
    seed: Annotated[int, Between(0, SEEDS), "seed of the initialisation and of the data order"] = 0
    precision: Annotated[Precision, "number format of the forward and backward passes"] = "fp32"
    repeat: Annotated[bool, "whether the run may see text more than once"] = False
    evaluation: EvalSpec = EvalSpec()
    start: Annotated[
        ModelStart | RunStart | None,
        ByKey(sha256=ModelStart, fingerprint=RunStart),
        "weights to start from; null: the initialisation",
    ] = field(default=None, metadata=LATER)
    position: Annotated[
        int,
        Between(0, 2**62, "rows"),
        "rows of the data order that earlier runs have read; this run continues after them",
    ] = field(default=0, metadata=LATER)
    family: Annotated[
        str | None, "label of the mirrored set that the run belongs to; null: its family is its size and budget"
    ] = field(default=None, metadata=LABEL)

    def __post_init__(self) -> None:
        check_name(self.run_id, key="run_id")
        if isinstance(self.start, RunStart):
            self._check_start(self.start.parent, self.start.step)
        if self.surgery is not None and self.model_before is not None:
            check_surgery(self.model, self.pruning, self.surgery, self.model_before)
        _ = self.schedule  # rejects impossible windows
        total, warm, decay = self.optimizer.phases(self.schedule)
        if warm >= total or warm + decay > total:
            message = f"the learning rate's warm-up and decay don't fit into the run, {self.run_id}"
            found = f"{warm:,} and {decay:,} of {total:,} steps"
            raise UserError(message, key="warmup", found=found, expected="fewer of them, or more steps in all")
        check_pruning(self.size, self.model.shape, self.pruning, self.schedule)

    def _check_start(self, parent: RunSpec, step: int) -> None:
        """Rejects a parent with another model, and one whose text would be read again."""
        if len(self.ancestors) > MOST_ANCESTORS:
            found = f"{len(self.ancestors)} before {self.run_id or self.size}"
            expected = f"at most {MOST_ANCESTORS}"
            raise UserError("too long a chain of runs", key="start.run", found=found, expected=expected)
        if self.surgery is None:
            check_model(self.model, parent.model, "a run of another model", parent.run_id)
        if self.reads_on and self.seed != parent.seed:
            message = "a run that starts from another continues in its data order"
            expected = f"{parent.seed}, the seed of {parent.run_id}, or none"
            raise UserError(message, key="seed", found=self.seed, expected=expected)
        position = parent.position + step * parent.optimizer.batch if self.reads_on else 0
        if self.position != position:
            message = "not the position at which the parent stopped reading"
            raise UserError(message, key="position", found=self.position, expected=position)

    @cached_property
    def schedule(self) -> PruningSchedule:
        return self.pruning.schedule(self.dense_steps)

    def is_evaluated(self, step: int) -> bool:
        """Whether it is evaluated after the update of `step`, during training."""
        return self.evaluation.due(step, self.schedule.total_steps)

    @property
    def last_percent(self) -> int:
        """First step of the last 1%, over which the final training loss is averaged."""
        total = self.schedule.total_steps
        return total - max(1, total // 100)

    @property
    def tokens_per_step(self) -> int:
        return self.optimizer.batch * self.model.sequence

    @property
    def tokens(self) -> int:
        """D: number of tokens seen."""
        return self.tokens_per_step * self.schedule.total_steps

    @property
    def text_tokens(self) -> int:
        """Tokens of its text that have been read when it ends, by this run and earlier ones in the same data order."""
        return self.position * self.model.sequence + self.tokens

    def starting_from(self, parent: RunSpec, step: int, surgery: SurgerySpec | None = None) -> RunSpec:
        """This run, started from the weights of `parent` after `step` steps, continuing in the same text.

        Args:
            surgery: what is done to the weights first; the run then has the model that it leaves, and holds its zeros.

        Raises:
            UserError: another model or data order, a step that the parent doesn't have, or a surgery that its model or
                this run's own pruning doesn't allow.
        """
        reads_on = canonical(self.corpus) == canonical(parent.corpus)
        position = parent.position + step * parent.optimizer.batch if reads_on else 0
        own = dataclasses.replace(self, start=None, position=0)
        if surgery is not None:
            check_model(self.model, parent.model, "a run of another model", parent.run_id)
            own = own._after(surgery)
        start = RunStart(parent.fingerprint, step, parent, surgery)
        return dataclasses.replace(own, start=start, position=position)

    def starting_at(self, weights: ModelStart, surgery: SurgerySpec | None = None) -> RunSpec:
        """This run, started from the weights of a model folder, of which `surgery` may leave less.

        Raises:
            UserError: a surgery that this run's model or its own pruning doesn't allow.
        """
        if surgery is None:
            return dataclasses.replace(self, start=weights)
        own = dataclasses.replace(self, start=None)._after(surgery)
        return dataclasses.replace(own, start=dataclasses.replace(weights, surgery=surgery, before=self.model))

    def _after(self, surgery: SurgerySpec) -> RunSpec:
        """This run with the model that surgery leaves of its own, and with masks that hold its zeros."""
        masks = surgery.masks(self.model)
        if masks.sparsity and self.pruning.sparsity:
            raise UserError(
                "a run that prunes after surgery of single weights, although it must keep the zeros that surgery left",
                key="sparsity",
                found=self.pruning.sparsity,
                expected="0",
            )
        pruning = masks if masks.sparsity else self.pruning
        return dataclasses.replace(self, model=surgery.model_after(self.model), pruning=pruning)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 of the canonical form."""
        return hashlib.sha256(canonical(self).encode()).hexdigest()[:16]

    @cached_property
    def recipe(self) -> str:
        """The same hash without the seed: equal exactly for runs that differ only in their seed."""
        form = json.loads(canonical(self))
        del form["seed"]
        if self.parent is not None:
            surgery = {key: value for key, value in form["start"].get("surgery", {}).items() if key != "seed"}
            form["start"] = {"recipe": self.parent.recipe, "step": self.parent_step} | (
                {"surgery": surgery} if surgery else {}
            )
        return hashlib.sha256(json.dumps(form, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]

    def identity(self, corpus_hash: str) -> str:
        """Identifies this spec on this corpus; stored in checkpoints."""
        return f"{self.fingerprint} on {corpus_hash}"

    def to_dict(self) -> dict[str, Any]:
        return json.loads(json.dumps(dataclasses.asdict(self)))


def load(path: str | Path) -> RunSpec:
    """A RunSpec from a run's spec.json, or from YAML with the same keys."""
    path = Path(expand(path))
    if path.is_dir():
        path = path / "spec.json"
    return from_kept(strict.read_yaml(path), file=path)


def from_kept(data: dict[str, Any], file: object = None) -> RunSpec:
    """A RunSpec from the mapping in a run's spec.json, which also has computed keys."""
    if not isinstance(data, dict):
        raise UserError(
            "not a spec", file=file, found=type(data).__name__, expected="the contents of a run's spec.json"
        )
    return strict.build(RunSpec, {k: v for k, v in data.items() if k not in ("fingerprint", "corpus_hash")}, file=file)
