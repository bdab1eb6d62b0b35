"""The study of mirrored sets: runs of equal N_avg, steps and tokens whose N(t) falls, rises, alternates or is constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace
from itertools import product
from typing import Annotated, Literal, get_args

from repro import strict
from repro.errors import UserError
from repro.schedule import FALLING
from repro.spec import MovesSpec, RunSpec, Sparsity
from repro.strict import Above
from sweeps.ids import percent
from sweeps.mirrored_sets import EqualTo, Timed
from sweeps.points import Budget, Budgets, Change, SeedList, Size, Sizes, Sparsities
from sweeps.run_builder import Builder

Member = Literal["falling", "rising", "static", "moving", "static_dense", "saw_tooth"]
Members = Annotated[
    tuple[Member, ...],
    '"falling": pruned as the sweep prunes; "rising": its reflection in time, from a random mask, with weights that come back '
    'at random as zeros; "static": a random mask of constant size N_avg; "moving": as static, with a mask that moves (SET); '
    '"static_dense": a random mask, then dense (SPDF); "saw_tooth": dense and sparse in turns (AC/DC)',
]


@strict.dataclass
class MirrorVariant(Change):
    """One change, applied to some members."""

    members: Members = field(kw_only=True)
    lr_multiple: Annotated[float, Above(0), "factor on the set's learning rate"] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.members:
            raise UserError("a change without members", key="members", found="none", expected="one or more")
        if self.lr is not None and self.lr_multiple != 1:
            raise UserError("two learning rates", key="lr", found=self.lr, expected="lr or lr_multiple")


@strict.dataclass
class MirrorControls:
    """Members of one set with settings changed one at a time, along with the unchanged ones."""

    size: Size
    budget: Budget
    sparsity: Annotated[Sparsity, "final sparsity of the falling member, above 0"]
    variants: Annotated[tuple[MirrorVariant, ...], "changes, made one at a time, each with its members"]
    seeds: Annotated[SeedList | None, "their own seeds; null takes those of the study"] = None


@strict.dataclass
class Mirror:
    """Mirrored sets: for each size, budget, sparsity and seed, members of equal N_avg (to the weight), steps and tokens.

    All members have the peak learning rate of the falling one. With `lr_schedule: cosine_compute` the learning rate at a given
    share of compute is the same in all members, so that the sum over steps of learning rate times N is equal as well.
    """

    sizes: Sizes
    budgets: Budgets
    sparsities: Annotated[Sparsities, "final sparsities of the falling members, above 0"]
    seeds: SeedList = (0,)
    members: Members = get_args(Member)
    partners: Annotated[bool, "whether dense runs of N_avg weights on as many tokens are also trained"] = True
    dense: Annotated[bool, "whether dense runs of the full size on as many tokens are also trained"] = True
    same_width: Annotated[
        tuple[Sparsity, ...],
        "sparsities for which dense runs of N_avg weights at the set's own width, with a narrower MLP, are also trained",
    ] = ()
    controls: Annotated[MirrorControls | None, "changes of settings, at one size, budget and sparsity"] = None

    def __post_init__(self) -> None:
        for sparsity in self.same_width:
            if sparsity not in self.sparsities:
                said = ", ".join(f"{one:g}" for one in self.sparsities)
                expected = f"some of: {said}"
                raise UserError("no set of this sparsity", key="same_width", found=sparsity, expected=expected)

    def runs(self, build: Builder) -> Iterator[RunSpec]:
        for size, budget, sparsity, seed in product(self.sizes, self.budgets, self.sparsities, self.seeds):
            own = SetMaker(build, size, budget, sparsity, seed)
            for member in self.members:
                yield own.run(member)
            if self.partners:
                yield build.partner(own.falling)
            if sparsity in self.same_width:
                yield build.partner(own.falling, same_width=True)
            if self.dense:
                yield own.dense()
        if self.controls is not None:
            yield from self._controls(self.controls, build)

    def _controls(self, controls: MirrorControls, build: Builder) -> Iterator[RunSpec]:
        for seed in self.seeds if controls.seeds is None else controls.seeds:
            own = SetMaker(build, controls.size, controls.budget, controls.sparsity, seed)
            for member in dict.fromkeys(member for variant in controls.variants for member in variant.members):
                yield own.run(member)
            for variant in controls.variants:
                for member in variant.members:
                    yield own.run(member, variant)


class SetMaker:
    """One size, budget, sparsity and seed.

    Attributes:
        falling: its falling member, without the label of the set.
    """

    def __init__(self, build: Builder, size: str, budget: str, sparsity: float, seed: int):
        self._build, self._size, self._budget, self._sparsity, self._seed = build, size, budget, sparsity, seed
        self.falling = build.run(size, budget, sparsity, seed=seed, change=Change(mirror=False))
        if self.falling.pruning.shape not in FALLING:
            raise UserError(
                "no falling member",
                key="sparsities" if not sparsity else "pruning.shape",
                found=self.falling.pruning.shape,
                expected=f"a sparsity above 0, and one of: {', '.join(FALLING)}",
            )
        self._equal = EqualTo(self.falling.schedule, self.falling.dense_steps, self.falling.model.shape.prunable)

    def run(self, member: Member, variant: MirrorVariant | None = None) -> RunSpec:
        """A member, or a variant of it. Raises UserError if it can't equal the set."""
        timed, change = self._made(member)
        multiple = 1.0 if variant is None else variant.lr_multiple
        change = Change(lr=self.falling.optimizer.lr * multiple).over(change)
        if variant is not None:
            change = variant.over(change)
        made = self._build.run(self._size, self._budget, timed.sparsity, timed.window, seed=self._seed, change=change)
        if not self._equal.met_by(made.schedule):
            raise UserError(
                "a member with other steps or another average than its set",
                key="controls.variants" if variant else "members",
                found=f"{made.run_id}: {made.schedule.total_steps:,} steps of {made.model.shape.prunable:,} weights, "
                f"{made.schedule.n_avg(made.model.shape.prunable):,.1f} on average",
                expected=f"{self._equal.falling.total_steps:,} steps, {self._equal.n_avg:,.1f} on average",
            )
        return replace(made, family=f"{self._size}-{self._budget}-mirror{percent(self._sparsity)}")

    def dense(self) -> RunSpec:
        """The dense run of the whole size with the set's tokens, at the learning rate of dense runs."""
        ratio = self.falling.tokens / self.falling.model.shape.prunable
        budget = f"{self._budget}-D{percent(self._sparsity)}"
        return self._build.run(self._size, budget, tokens_per_param=ratio, seed=self._seed)

    def _made(self, member: Member) -> tuple[Timed, Change]:
        """When and how far a member is sparse, and in what else it differs from the sweep's runs."""
        pruning, usual = self.falling.pruning, Timed(self._sparsity)
        if member == "falling":
            return usual, Change(mirror=False)
        if member == "rising":
            return usual, Change(mirror=True, score="random")
        if member == "static":
            return self._equal.constant(), Change(shape="constant", score="random")
        if member == "moving":
            moves = MovesSpec(pruning.interval)  # which drop the smallest weights, whatever score made the first mask
            return self._equal.constant(), Change(shape="constant", moves=moves, score="random")
        if member == "static_dense":
            return self._equal.static_dense(), Change(shape="static_dense", mirror=False, score="random")
        timed = self._equal.saw_tooth(pruning.sparsity, pruning.start)
        return timed, Change(shape="saw_tooth", mirror=False)
