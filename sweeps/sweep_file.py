"""A sweep file, read: its blocks as strict frozen dataclasses, an unknown key an error. No torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from repro import strict
from repro.bounds import STEPS, positive, within
from repro.errors import UserError
from repro.paths import check_name, expand
from repro.resources import Resources
from repro.spec import CorpusSpec, EvalSpec, ModelSpec, OptimizerSpec, Score
from sweeps.overrides import Falling, Window
from sweeps.studies import SingleRun, Studies


@dataclass(frozen=True)
class PruningDefaults:
    """How runs prune unless a study says otherwise.

    window: the schedule held to be best. interval: steps between events; null takes schedule.interval_for of
    each run's length and `narrowest`, the narrowest window (share of compute) that is to have enough events.
    """

    window: Window = Window()
    interval: int | None = None
    narrowest: float = 0.25
    shape: Falling = "geometric"
    score: Score = "magnitude"
    distribution: Literal["global", "uniform"] = "global"
    structure: str = "unstructured"
    do_not_prune: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        within("interval", self.interval, 1, STEPS, "steps")
        if not 0 < self.narrowest <= 1:
            raise UserError("share out of range", key="narrowest", found=self.narrowest, expected="0 < share <= 1")


@dataclass(frozen=True)
class Partners:
    """The dense partners of sparse runs (ladder.partner).

    mlp_multiple: coarsest granularity of their mlp. tolerance: how near their count must come, relatively. lr: their own
    learning rates, by size label.
    """

    mlp_multiple: int = 8
    tolerance: float = 1e-3
    lr: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        within("mlp_multiple", self.mlp_multiple, 1, 2**20)
        within("tolerance", self.tolerance, 1e-9, 0.1)
        for label, lr in self.lr.items():
            positive(f"lr.{label}", lr)


@dataclass(frozen=True)
class Repeat:
    """Runs that may see text more than once; no windows given means any."""

    size: str
    budget: str
    sparsities: tuple[float, ...]
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True)
class Storage:
    """Where token shards and results lie: a folder or a URI, as it was said. Bears no identity."""

    corpus: str = "data"
    results: str = "results"

    def expanded(self, file: object) -> Storage:
        """With `~` and variables replaced, on the machine that uses them.

        Raises:
            UserError: there is no such home folder or variable.
        """
        return Storage(
            expand(self.corpus, file=file, key="storage.corpus"), expand(self.results, file=file, key="storage.results")
        )


@dataclass(frozen=True)
class Declaration:
    """One sweep file.

    name: names the results folder. model, optimizer: keys of ModelSpec and OptimizerSpec that all sizes share.
    sizes: by label, the keys of ModelSpec and OptimizerSpec in which that size differs. budgets: by label,
    tokens of the dense run per prunable parameter. repeat: whether runs may see text more than once.
    runs: single runs beside the studies. share_prefix: whether steps that runs have in common are trained once.
    """

    name: str
    corpus: CorpusSpec
    sizes: dict[str, dict[str, Any]]
    budgets: dict[str, float]
    studies: Studies = Studies()
    runs: tuple[SingleRun, ...] = ()
    model: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    pruning: PruningDefaults = PruningDefaults()
    partners: Partners = Partners()
    evaluation: EvalSpec = EvalSpec()
    precision: Literal["fp32", "bf16"] = "fp32"
    repeat: bool | tuple[Repeat, ...] = False
    share_prefix: bool = False
    resources: Resources = Resources()
    storage: Storage = Storage()

    def __post_init__(self) -> None:
        check_name(self.name, key="name")  # of the results folder
        dense = self.studies.dense.budgets if self.studies.dense else {}
        for block, budgets in (("budgets", self.budgets), ("studies.dense.budgets", dense)):
            for label, ratio in budgets.items():
                check_name(label, key=f"{block}.{label}")  # of run ids, as those of sizes, and so of folders
                positive(f"{block}.{label}", ratio, "tokens per prunable parameter")
        for label in self.sizes:
            check_name(label, key=f"sizes.{label}")
        self._check_labels({**self.budgets, **dense})

    def _check_labels(self, budgets: dict[str, float]) -> None:
        """Refuses a rule for a size or a budget that there isn't: it would do nothing, and say nothing."""
        for label in self.partners.lr:  # SIZE-p80 and the like
            if not any(label.startswith(f"{size}-") for size in self.sizes):
                expected = f"SIZE-p80 or SIZE-t80, of one of: {', '.join(self.sizes)}"
                raise UserError("no such partner", key=f"partners.lr.{label}", found=label, expected=expected)
        for label in self.resources.workers_by_size:
            if not any(label == size or label.startswith(f"{size}-") for size in self.sizes):
                expected = f"one of: {', '.join(self.sizes)}"
                raise UserError(
                    "no such size", key=f"resources.workers_by_size.{label}", found=label, expected=expected
                )
        for index, rule in enumerate(self.repeat if isinstance(self.repeat, tuple) else ()):
            for key, label, known in (("size", rule.size, self.sizes), ("budget", rule.budget, budgets)):
                if label not in known:
                    expected = f"one of: {', '.join(known)}"
                    raise UserError(f"no such {key}", key=f"repeat[{index}].{key}", found=label, expected=expected)

    def size(self, label: str, *, file: object = None) -> tuple[ModelSpec, OptimizerSpec]:
        """The model and the optimizer of a size."""
        own, block = self.sizes[label], f"sizes.{label}"
        of_model, of_optimizer = _names(ModelSpec), _names(OptimizerSpec)
        _refuse_unknown(self.model, of_model, file, "model")
        _refuse_unknown(self.optimizer, of_optimizer, file, "optimizer")
        _refuse_unknown(own, of_model + of_optimizer, file, block)
        return (
            strict.build(ModelSpec, self.model | {k: v for k, v in own.items() if k in of_model}, file=file, key=block),
            strict.build(
                OptimizerSpec,
                self.optimizer | {k: v for k, v in own.items() if k in of_optimizer},
                file=file,
                key=block,
            ),
        )


def _names(cls: type[ModelSpec | OptimizerSpec]) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _refuse_unknown(keys: dict[str, Any], names: list[str], file: object, block: str) -> None:
    for key in keys:
        if key not in names:
            raise UserError(
                "unknown key", file=file, key=f"{block}.{key}", found=key, expected=f"one of: {', '.join(names)}"
            )


def read(file: str | Path) -> Declaration:
    """The contents of a sweep file.

    Raises:
        UserError: it isn't one, or something in it can't be.
    """
    file = Path(expand(file))
    if file.is_dir():
        kept = "a results folder" if (file / "sweep.json").exists() else "a folder"
        raise UserError(f"{kept} where a sweep file is wanted", file=file, expected="a YAML file, as sweeps/quick.yaml")
    if file.suffix.lower() in (".parquet", ".csv", ".gz", ".html", ".safetensors", ".py"):
        raise UserError("not a sweep file", file=file, found=file.suffix, expected="a YAML file, as sweeps/quick.yaml")
    return strict.build(Declaration, strict.read_yaml(file), file=file)
