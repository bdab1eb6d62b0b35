"""What a sweep file says of all its runs: its blocks as strict dataclasses; unknown keys are errors. No torch."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from repro import strict
from repro.paths import expand
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
from sweeps.points import Budget, Ratio, Size, Sparsities, Window

DIGITS = 3  # significant digits of a learning rate that is computed


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
class RateExponents:
    """Exponents of a power law for the learning rate around the `lr` of each size; if all are 0, every run of a size has that `lr`.

    A search for learning rates (study `lr`, then `python -m analysis lr`) measures them.
    """

    tokens_per_param: Annotated[
        float, Above(0), "tokens of the dense run per prunable parameter for which the `lr` of each size was chosen"
    ] = 20.0
    tokens: Annotated[float, "exponent of the dense run's tokens per prunable parameter"] = 0.0
    params: Annotated[
        float, "exponent of a dense partner's prunable parameters over those of the sparse run's size"
    ] = 0.0
    density: Annotated[float, "exponent of a sparse run's final density"] = 0.0

    def at(self, lr: float, factor: float) -> float:
        """A size's learning rate times such a factor, in DIGITS digits; `lr` itself where there are no exponents."""
        is_fixed = not (self.tokens or self.params or self.density)
        return lr if is_fixed else float(f"{lr * factor:.{DIGITS}g}")

    def factor(self, model: ModelSpec, size: ModelSpec, tokens_per_param: float, sparsity: float = 0.0) -> float:
        """A run's learning rate over the `lr` of its size.

        Args:
            model: the run's own. size: that of the size; another only for a dense partner.
            tokens_per_param: tokens of the dense run of `model` per prunable parameter.
            sparsity: the run's final sparsity.
        """
        return float(
            (tokens_per_param / self.tokens_per_param) ** self.tokens
            * (model.shape.prunable / size.shape.prunable) ** self.params
            * (1 - sparsity) ** self.density
        )


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
class Settings:
    """What a sweep file says of all its runs; `Declaration` says what its studies and single runs may hold."""

    name: Annotated[str, "name of the sweep and of its results folder"]
    corpus: CorpusSpec
    sizes: Annotated[
        dict[str, Annotated[dict[str, Any], strict.KeysOf(ModelSpec, OptimizerSpec)]],
        "the keys of `model` and `optimizer` that are specific to each size, by label",
    ]
    budgets: Annotated[
        dict[str, Ratio], "tokens of the dense run per prunable parameter, by label: one number, or one for each size"
    ]
    studies: Any = None
    runs: Any = ()
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

    def size(self, label: str, *, file: object = None) -> tuple[ModelSpec, OptimizerSpec]:
        """The model and optimizer settings of a size."""
        own, block = self.sizes[label], f"sizes.{label}"
        model, optimizer = self.model | strict.taken(ModelSpec, own), self.optimizer | strict.taken(OptimizerSpec, own)
        return (
            strict.build(ModelSpec, model, file=file, key=block),
            strict.build(OptimizerSpec, optimizer, file=file, key=block),
        )
