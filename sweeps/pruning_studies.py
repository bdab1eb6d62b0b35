"""The studies of pruning after training: dense parents, and the runs that continue from them after surgery. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated

from repro import strict
from repro.bounds import STEPS
from repro.errors import UserError
from repro.spec import CalibrationSpec, RunSpec, SurgerySpec
from repro.strict import Above, Between
from repro.surgery.catalogue import METHODS, taking
from sweeps import post_trained
from sweeps.points import PUBLIC, Budget, SeedList, Size, chosen, unknown
from sweeps.run_builder import Builder

Rate = Annotated[float, Between(0, 1, "of all parameters", "()")]
Rates = tuple[Rate, ...] | dict[str, tuple[Rate, ...]]  # of all sizes, or by size label
Multiple = Annotated[float, Above(0, "times the parent's peak")]
Methods = Annotated[tuple[str, ...], "pruning methods"]


@strict.dataclass
class Parent:
    """A dense run that is pruned after its training."""

    size: Size
    budget: Budget
    seeds: Annotated[SeedList | None, "its own seeds; null takes those of the study"] = None


@strict.dataclass
class DenseParents:
    """Dense runs that the study `post_training` prunes."""

    points: Annotated[tuple[Parent, ...], "sizes and budgets"] = ()
    seeds: SeedList = (0,)
    models: Annotated[
        dict[str, str],
        f"public models that are pruned as they are, by size label: a Hugging Face id or a folder, with the size's shape; their "
        f"budget is {PUBLIC}, and their own tokenizer encodes the text",
    ] = field(default_factory=dict)

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for point in self.points:
            for seed in self.seeds if point.seeds is None else point.seeds:
                yield build.run(point.size, point.budget, seed=seed)


@strict.dataclass
class Pruning:
    """A pruning method that is applied to every parent."""

    method: Annotated[str, f"one of: {', '.join(METHODS)}"]
    structure: Annotated[
        str | None, "for methods that remove single weights: unstructured or N:M; null: unstructured"
    ] = None
    rates: Annotated[Rates | None, "its own rates, for all sizes or by size; null: those of the study"] = None

    def __post_init__(self) -> None:
        taking(self.method, structure=self.structure)


@strict.dataclass
class PostControls:
    """Controls that the curves are compared with."""

    unpruned: Annotated[bool, "whether every parent is also continued unpruned, by surgery at rate 0"] = True
    sizes: Annotated[
        tuple[str, ...], "labels of `sizes` whose first parent gets the controls below; empty: all sizes"
    ] = ()
    random: Annotated[Methods, "methods that remove at random, used at the study's rates"] = ()
    scratch: Annotated[
        Methods,
        "methods whose pruned shapes are also trained from a random initialisation, on as many tokens, with the parent's settings",
    ] = ()
    decayed: Annotated[
        Methods, "methods whose curves are also trained with a learning rate that decays over the tokens"
    ] = ()
    aged: Annotated[Methods, "methods that also prune the parents of other budgets than the study's"] = ()
    lr_multiples: Annotated[
        tuple[Multiple, ...],
        "learning rates over the parent's peak that are tried for each size, after the study's first method at its middle rate",
    ] = ()

    def __post_init__(self) -> None:
        for key in ("random", "scratch", "decayed", "aged"):
            for method in getattr(self, key):
                chosen_method = taking(method)
                if key == "random" and not chosen_method.seeded:
                    seeded = (name for name, one in METHODS.items() if one.seeded)
                    raise unknown("not a random method", method, seeded, key=key)
                if key == "scratch" and chosen_method.removes == "weights":
                    structured = ", ".join(name for name, one in METHODS.items() if one.removes != "weights")
                    what = "a method that only leaves zeros, so that there is no smaller model to train from scratch"
                    raise UserError(what, key=key, found=method, expected=structured)


@strict.dataclass
class PostTraining:
    """Every parent, pruned by every method at every rate, then trained at a constant learning rate after a short warm-up.

    The text continues where the parent stopped, and the loss is evaluated at log-spaced numbers of tokens.
    """

    budget: Annotated[str, "a label of `budgets`: the parents of this budget are pruned by every method"]
    tokens: Annotated[float, Above(0, "tokens"), "tokens of each run after surgery"]
    methods: Annotated[tuple[Pruning, ...], "pruning methods, each with its own rates if it has some"]
    rates: Annotated[Rates, "shares of all parameters to remove, for all sizes or by size"]
    lr_multiples: Annotated[
        Multiple | dict[str, Multiple], "the learning rate over the parent's peak: one number, or one for each size"
    ]
    warmup: Annotated[int, Between(0, STEPS, "steps"), "steps until the learning rate is reached"] = 10
    evaluations: Annotated[
        int, Between(2, 1000, "evaluations"), "evaluations of each curve, log-spaced over two decades of tokens"
    ] = 10
    calibration: Annotated[CalibrationSpec, "calibration set for all methods that need one"] = CalibrationSpec()
    controls: PostControls = PostControls()

    def __post_init__(self) -> None:
        rates = {"rates": self.rates} | {f"methods[{i}].rates": one.rates for i, one in enumerate(self.methods)}
        for key, said in rates.items():
            if said is not None and not all(said.values() if isinstance(said, dict) else [said]):
                raise UserError("no rate", key=key, found="none", expected="one or more")
        if not self.methods:
            raise UserError("no method", key="methods", found="none", expected="one or more")

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        parents = [*build.parents()]
        mine = [parent for parent in parents if parent.budget == self.budget]
        if not mine:
            expected = ", ".join(dict.fromkeys(parent.budget for parent in parents)) or "one of study `parents`"
            raise UserError("no parent of this budget", key="budget", found=self.budget, expected=expected)
        self._check_sizes({parent.size for parent in parents})
        controls = self.controls
        for parent in mine:
            for pruning in self.methods:
                yield from self._curves(parent, pruning)
        for parent in parents if controls.unpruned else ():
            yield self._curve(parent, self._surgery(self.methods[0].method, 0.0, None, parent))
        firsts = [parent for parent in mine if parent is next(p for p in mine if p.size == parent.size)]
        for parent in firsts:
            if not controls.sizes or parent.size in controls.sizes:
                yield from self._controls(parent)
            yield from self._tried(parent)
        for parent in parents:
            if parent not in mine:
                for method in controls.aged:
                    yield from self._curves(parent, Pruning(method))

    def _check_sizes(self, known: set[str]) -> None:
        """Refuses labels that no parent has, which would silently have no effect."""
        said: dict[str, object] = {f"methods[{i}].rates": pruning.rates for i, pruning in enumerate(self.methods)}
        said |= {"rates": self.rates, "lr_multiples": self.lr_multiples}
        said["controls.sizes"] = dict.fromkeys(self.controls.sizes)
        for key, labels in said.items():
            for label in labels if isinstance(labels, dict) else ():
                if label not in known:
                    raise unknown("no parent of this size", label, sorted(known), key=key)

    def _controls(self, parent: RunSpec) -> Iterator[RunSpec]:
        for method in self.controls.random:
            yield from self._curves(parent, Pruning(method))
        for method in self.controls.scratch:
            for surgery in self._surgeries(parent, Pruning(method)):
                yield post_trained.scratch(parent, surgery, self._steps(parent), self.evaluations)
        for method in self.controls.decayed:
            yield from map(post_trained.decayed, self._curves(parent, Pruning(method)))

    def _tried(self, parent: RunSpec) -> Iterator[RunSpec]:
        """The first method at its middle rate, at other learning rates."""
        curves = [*self._curves(parent, self.methods[0])]
        usual = curves[len(curves) // 2]
        for multiple in self.controls.lr_multiples:
            yield post_trained.at_rate(usual, parent.optimizer.lr * multiple)

    def _curves(self, parent: RunSpec, pruning: Pruning) -> Iterator[RunSpec]:
        for surgery in self._surgeries(parent, pruning):
            yield self._curve(parent, surgery)

    def _curve(self, parent: RunSpec, surgery: SurgerySpec) -> RunSpec:
        multiples = self.lr_multiples
        if isinstance(multiples, dict):
            multiples = chosen(multiples, parent.size, "lr_multiples")
        steps, lr = self._steps(parent), parent.optimizer.lr * multiples
        return post_trained.curve(parent, surgery, steps=steps, lr=lr, warmup=self.warmup, evaluations=self.evaluations)

    def _surgeries(self, parent: RunSpec, pruning: Pruning) -> Iterator[SurgerySpec]:
        rates = self.rates if pruning.rates is None else pruning.rates
        for rate in chosen(rates, parent.size, "rates") if isinstance(rates, dict) else rates:
            yield self._surgery(pruning.method, rate, pruning.structure, parent)

    def _surgery(self, method: str, rate: float, structure: str | None, parent: RunSpec) -> SurgerySpec:
        takes = METHODS[method]
        calibration, seed = self.calibration if takes.text else None, parent.seed if takes.seeded else None
        return SurgerySpec(method, rate, structure, calibration=calibration, seed=seed)

    def _steps(self, parent: RunSpec) -> int:
        steps = round(self.tokens / parent.tokens_per_step)
        if not 1 <= steps <= STEPS:
            found = f"{self.tokens:,.4g}: {steps:,} steps of {parent.tokens_per_step:,}"
            raise UserError("no such number of steps", key="tokens", found=found, expected=f"1 to {STEPS:,} steps")
        return steps
