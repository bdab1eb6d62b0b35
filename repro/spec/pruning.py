"""PruningSpec: how many weights of a model are non-zero at each step of a run, and which."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from repro.bounds import EVENTS, STEPS
from repro.errors import UserError
from repro.pruning.shares import n_of_m
from repro.schedule import TEETH, UNTIMED, Declared, Moves, PruningSchedule, Shape
from repro.spec.identity import LATER, tag
from repro.strict import Between, dataclass

# Keys of PruningSpec that say which weights an event removes or restores, not when or how many.
HOW = ("score", "distribution", "structure", "do_not_prune", "scope", "choose", "fill", "moves")
Score = Literal["magnitude", "random", "magnitude_gradient"]
Distribution = Literal["global", "uniform", "erdos_renyi"]
Choose = Literal["random", "gradient", "position", "last"]
Fill = Literal["zero", "draw"]
Interval = Annotated[int, Between(1, STEPS, "steps")]
Sparsity = Annotated[float, Between(0, 1, "sparsity", "[)")]
ScoreKey = Annotated[
    Score,
    'score whose smallest weights are pruned: "magnitude" (the paper), "random", or "magnitude_gradient", which is '
    "|weight * mean gradient|",
]
DistributionKey = Annotated[
    Distribution,
    '"global": one threshold for all tensors (the paper); "uniform": the same density in every tensor; "erdos_renyi": a '
    "density proportional to (inputs + outputs) / (inputs * outputs) of the tensor, at most 1 (SET, RigL)",
]
StructureKey = Annotated[
    str, '"unstructured" (the paper), or N:M such as "2:4": 2 of every 4 neighbouring weights in a row stay'
]
DoNotPruneKey = Annotated[
    tuple[str, ...],
    'linear layers that are not pruned, such as "lm_head"; the others are pruned more, so that N_t is the same',
]
ScopeKey = Annotated[
    tuple[str, ...],
    'the only parts of the model that are pruned, each a part of the parameter names: "layers.3" is a block, "mlp" all '
    'MLPs, "layers.3.mlp.down_proj" one layer; empty: the whole model',
]
SHAPE = (
    'density over time: "geometric" (the paper), "linear" and "cubic" fall between the first event and the last; "constant" '
    'is sparse from step 0; "static_dense" is sparse until the last event, then dense; "saw_tooth" alternates between '
    'sparse and dense, then stays sparse (AC/DC); "pieces" is as the key `pieces` says'
)
MirrorKey = Annotated[
    bool, "whether N(t) is reflected in time to N(T - t): the run begins sparse, and weights come back"
]
PiecesKey = Annotated[
    tuple[tuple[float, ...], ...],
    'for shape "pieces": a list of [beginning, density], the first beginning at 0; beginnings below 1 are shares of '
    "compute, others are steps",
]
ChooseKey = Annotated[
    Choose,
    'which removed weights come back where N(t) rises: "random"; "gradient": those with the largest |gradient|; "position": '
    "the first in the order of the model, or in each tensor if each has a density of its own; "
    '"last": the most recently removed',
]
FillKey = Annotated[
    Fill, 'value of weights that come back: "zero", or "draw": a new draw from the distribution of the initialisation'
]


@dataclass
class MovesSpec:
    """A mask that moves at a constant number of weights (SET, RigL): the smallest weights are removed, and as many removed
    ones come back.

    A weight that is removed and comes back in the same move keeps its value and its moments, as in RigL.
    """

    every: Annotated[Interval, "steps before the first move, and between two moves"]
    share: Annotated[
        float, Between(0, 1, "of the kept weights", "(]"), "share of the kept weights that the first move replaces"
    ] = 0.3
    decay: Annotated[
        Literal["cosine", "constant"],
        'that share over time: "cosine" falls to 0 at `until` (RigL), "constant" stays as it is (SET)',
    ] = "cosine"
    until: Annotated[
        float, Between(0, 1, "of compute", "(]"), "share of compute after which the mask no longer moves"
    ] = 0.75
    return_: Annotated[
        Literal["random", "gradient"],
        'which removed weights come back: "random" (SET), or "gradient": those with the largest |gradient| (RigL)',
    ] = "random"

    @property
    def times(self) -> Moves:
        """When the mask moves, and how much."""
        return Moves(self.every, self.share, self.decay, self.until)


@dataclass
class PruningSpec:
    """When weights are pruned (in shares of effective compute), how many, and by which score they are chosen."""

    sparsity: Annotated[
        Sparsity, "share of the prunable weights that is removed: the final one if N(t) only falls, else the largest"
    ] = 0.0
    start: Annotated[
        float, Between(0, 1, "of compute"), "share of compute before the first event, before mirroring"
    ] = 0.25
    end: Annotated[float, Between(0, 1, "of compute"), "share of compute before the last event, before mirroring"] = (
        0.75
    )
    interval: Annotated[Interval, "steps between events"] = field(default=1, metadata=tag("i"))
    shape: Annotated[Shape, SHAPE] = field(default="dense", metadata=tag(""))
    score: ScoreKey = field(default="magnitude", metadata=tag(""))
    distribution: DistributionKey = field(default="global", metadata=tag(""))
    structure: StructureKey = field(default="unstructured", metadata=tag(""))
    do_not_prune: DoNotPruneKey = field(default=(), metadata=tag("keep_"))
    scope: ScopeKey = field(default=(), metadata=LATER | tag("in_"))
    mirror: MirrorKey = field(default=False, metadata=LATER | tag("mirror"))
    teeth: Annotated[
        int, Between(1, EVENTS // 3, "teeth"), 'for shape "saw_tooth": how often the run is sparse and then dense'
    ] = field(default=TEETH, metadata=LATER | tag("teeth"))
    pieces: PiecesKey = field(default=(), metadata=LATER | tag("n"))
    choose: ChooseKey = field(default="random", metadata=LATER | tag("back_"))
    fill: FillKey = field(default="zero", metadata=LATER | tag("fill_"))
    moves: Annotated[MovesSpec | None, "how the mask moves at a constant number of weights; null: it does not"] = field(
        default=None, metadata=LATER | tag("moves")
    )

    def __post_init__(self) -> None:
        _ = self.n_of_m  # rejects what is no structure
        is_written = self.shape == "pieces"
        for key, ok, expected in (
            ("pieces", bool(self.pieces) == is_written, "one or more for shape pieces, none for the others"),
            ("pieces", all(len(piece) == 2 for piece in self.pieces), "[beginning, density] of each"),
            ("teeth", self.teeth == TEETH or self.shape == "saw_tooth", f"{TEETH}, or shape saw_tooth"),
            ("moves", self.moves is None or self.shape == "constant", "null, or shape constant"),
        ):
            if not ok:
                found = f"shape {self.shape}, {key} {getattr(self, key)}"[:200]
                raise UserError("shape and its keys disagree", key=key, found=found, expected=expected)

    def schedule(self, dense_steps: int) -> PruningSchedule:
        """The schedule, in steps, of a run with the compute of `dense_steps` dense steps.

        Raises:
            UserError: its events don't fit into the run.
        """
        return PruningSchedule.resolve(
            Declared(
                dense_steps,
                self.sparsity,
                self.shape,
                self.start,
                self.end,
                self.interval,
                teeth=self.teeth,
                mirror=self.mirror,
                pieces=tuple((begin, density) for begin, density in self.pieces),
                moves=None if self.moves is None else self.moves.times,
            )
        )

    @property
    def timed(self) -> bool:
        """Whether `start` or `end` has a meaning."""
        return self.shape not in UNTIMED

    def prunes(self, name: str) -> bool:
        """Whether weights of this parameter of a linear layer may be removed."""
        said = f".{name}."
        return not set(self.do_not_prune) & set(name.split(".")) and (
            not self.scope or any(f".{part}." in said for part in self.scope)
        )

    @property
    def n_of_m(self) -> tuple[int, int] | None:
        """(N, M) of an N:M structure."""
        return n_of_m(self.structure)
