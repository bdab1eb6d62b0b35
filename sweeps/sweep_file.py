"""The content of a sweep file: its blocks as strict dataclasses; unknown keys are errors. No torch."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from repro import strict
from repro.errors import UserError
from repro.paths import check_name, expand
from repro.resources import Resources
from repro.schedule import Sparse
from repro.spec import (
    SHAPE,
    CorpusSpec,
    DistributionKey,
    DoNotPruneKey,
    EvalSpec,
    Interval,
    MirrorKey,
    ModelSpec,
    OptimizerSpec,
    ScopeKey,
    ScoreKey,
    StructureKey,
)
from repro.strict import Above, Between
from sweeps.overrides import Window
from sweeps.points import Budget, Ratio, Size, Sparsities
from sweeps.rates import RateExponents
from sweeps.single_runs import SingleRun
from sweeps.studies import Studies


@strict.dataclass
class PruningDefaults:
    """How runs prune unless a study says otherwise."""

    window: Annotated[Window, "the default window"] = Window()
    interval: Annotated[
        Interval | None,
        "steps between events; null: derived from each run's length and `narrowest` (schedule.interval_for)",
    ] = None
    narrowest: Annotated[
        float,
        Between(0, 1, "share", "(]"),
        "narrowest window for which a derived interval still gives enough events, as a share of compute",
    ] = 0.25
    shape: Annotated[Sparse, SHAPE] = "geometric"
    mirror: MirrorKey = False
    score: ScoreKey = "magnitude"
    distribution: DistributionKey = "global"
    structure: StructureKey = "unstructured"
    do_not_prune: DoNotPruneKey = ()
    scope: ScopeKey = ()


@strict.dataclass
class Partners:
    """How the dense partners of sparse runs are sized (ladder.partner)."""

    mlp_multiple: Annotated[
        int,
        Between(1, 2**20),
        "step in which the width of their MLP is varied: 8 for real sizes, 1 for tiny ones; halved until a size fits",
    ] = 8
    tolerance: Annotated[float, Between(1e-9, 0.1), "relative tolerance of their parameter count"] = 1e-3
    lr: Annotated[
        dict[str, Annotated[float, Above(0)]],
        "their own learning rates, by the partner's size label, such as SIZE-p80 or SIZE-t80",
    ] = field(default_factory=dict)


@strict.dataclass
class Repeat:
    """Runs that may see text more than once."""

    size: Size
    budget: Budget
    sparsities: Sparsities
    windows: Annotated[tuple[Window, ...], "windows of these runs; empty: any"] = ()


@strict.dataclass
class Storage:
    """Where token shards and results are kept: folders or URIs. Not part of a run's identity."""

    corpus: Annotated[str, "folder or URI of the token shards"] = "data"
    results: Annotated[str, "folder or URI of the results folders"] = "results"

    def expanded(self, file: object) -> Storage:
        """Expands `~` and variables, on the machine that uses the paths.

        Raises:
            UserError: a home folder or variable doesn't exist.
        """
        return Storage(
            expand(self.corpus, file=file, key="storage.corpus"), expand(self.results, file=file, key="storage.results")
        )


@strict.dataclass
class Declaration:
    """One sweep file."""

    name: Annotated[str, "name of the sweep and of its results folder"]
    corpus: CorpusSpec
    sizes: Annotated[
        dict[str, Annotated[dict[str, Any], strict.KeysOf(ModelSpec, OptimizerSpec)]],
        "the keys of `model` and `optimizer` that are specific to each size, by label",
    ]
    budgets: Annotated[
        dict[str, Ratio], "tokens of the dense run per prunable parameter, by label: one number, or one for each size"
    ]
    studies: Annotated[
        Studies, "groups of runs, each for one question; a run that several studies need is trained once"
    ] = Studies()
    runs: Annotated[tuple[SingleRun, ...], "single runs outside the studies"] = ()
    model: Annotated[dict[str, Any], strict.KeysOf(ModelSpec), "keys shared by all sizes"] = field(default_factory=dict)
    optimizer: Annotated[dict[str, Any], strict.KeysOf(OptimizerSpec), "keys shared by all sizes"] = field(
        default_factory=dict
    )
    pruning: PruningDefaults = PruningDefaults()
    partners: Partners = Partners()
    rates: RateExponents = RateExponents()
    evaluation: EvalSpec = EvalSpec()
    precision: Annotated[Literal["fp32", "bf16"], "number format of the forward and backward passes"] = "fp32"
    repeat: Annotated[
        bool | tuple[Repeat, ...], "whether runs may see text more than once, or a list of the runs that may"
    ] = False
    share_prefix: Annotated[
        bool, "whether steps that several runs have in common, from their first step on, are trained once"
    ] = False
    resources: Resources = Resources()
    storage: Storage = Storage()

    def __post_init__(self) -> None:
        check_name(self.name, key="name")  # names the results folder
        dense = self.studies.dense.budgets if self.studies.dense else {}
        for block, labels in (("budgets", self.budgets), ("studies.dense.budgets", dense), ("sizes", self.sizes)):
            for label in labels:
                check_name(label, key=f"{block}.{label}")  # part of run ids, which name folders
        self._check_sizes("budgets", self.budgets)
        self._check_sizes("studies.dense.budgets", dense)
        self._check_labels({**self.budgets, **dense})

    def _check_sizes(self, block: str, budgets: dict[str, Ratio]) -> None:
        """Refuses ratios of unknown sizes."""
        for label, ratio in budgets.items():
            for size in ratio if isinstance(ratio, dict) else ():
                if size not in self.sizes:
                    expected = f"one of: {', '.join(self.sizes)}"
                    raise UserError("no such size", key=f"{block}.{label}.{size}", found=size, expected=expected)

    def _check_labels(self, budgets: dict[str, Ratio]) -> None:
        """Refuses rules for unknown sizes or budgets, which would silently have no effect."""
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
        """The model and optimizer settings of a size."""
        own, block = self.sizes[label], f"sizes.{label}"
        model, optimizer = self.model | strict.taken(ModelSpec, own), self.optimizer | strict.taken(OptimizerSpec, own)
        return (
            strict.build(ModelSpec, model, file=file, key=block),
            strict.build(OptimizerSpec, optimizer, file=file, key=block),
        )


def read(file: str | Path) -> Declaration:
    """Reads a sweep file.

    Raises:
        UserError: it isn't a sweep file, or is invalid.
    """
    file = Path(expand(file))
    if file.is_dir():
        kept = "a results folder" if (file / "sweep.json").exists() else "a folder"
        raise UserError(f"{kept} instead of a sweep file", file=file, expected="a YAML file such as sweeps/quick.yaml")
    if file.suffix.lower() in (".parquet", ".csv", ".gz", ".html", ".safetensors", ".py"):
        raise UserError(
            "not a sweep file", file=file, found=file.suffix, expected="a YAML file such as sweeps/quick.yaml"
        )
    return strict.build(Declaration, strict.read_yaml(file), file=file)
