"""The methods of surgery by name, of pruning and of growth, and the options that each takes. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from repro.errors import UserError


@dataclass(frozen=True)
class Method:
    """A way to prune.

    removes: whole blocks; groups of heads and channels; or single weights. text: whether it needs calibration text.
    """

    removes: Literal["blocks", "width", "weights"]
    text: bool
    meaning: str
    seeded: bool = False

    @property
    def structures(self) -> tuple[str, ...]:
        """What --structure may be; empty where it doesn't apply."""
        return ("unstructured", "N:M") if self.removes == "weights" else ()


@dataclass(frozen=True)
class Growth:
    """A way to grow.

    grows: the depth; all widths; or those inside the blocks, heads and channels, which the residual stream doesn't see.
    """

    grows: Literal["depth", "width", "inner"]
    meaning: str
    seeded: bool = False
    text: ClassVar[bool] = False  # as of a Method
    structures: ClassVar[tuple[str, ...]] = ()


METHODS: dict[str, Method] = {
    "depth-ppl": Method("blocks", True, "blocks without which the loss is lowest"),
    "depth-taylor": Method("blocks", True, "blocks with the least sum of |w g|, weight times gradient"),
    "depth-influence": Method("blocks", True, "blocks that change the direction of hidden states least"),
    "depth-window": Method("blocks", True, "successive blocks that together change that direction least"),
    "random-depth": Method("blocks", False, "blocks drawn at random", seeded=True),
    "width-taylor": Method("width", True, "heads and channels with the least sums of |w g|, weight times gradient"),
    "width-wanda": Method(
        "width", True, "heads and channels with the least sums of |w| times the norm of the weight's input"
    ),
    "random-width": Method("width", False, "heads and channels drawn at random", seeded=True),
    "magnitude": Method("weights", False, "the smallest weights of each layer"),
    "wanda": Method("weights", True, "in each row the weights with the least |w| times the norm of their input"),
    "dsnot": Method("weights", True, "wanda, then swaps that keep each row's mean output"),
    "sparsegpt": Method("weights", True, "column by column, where later columns make up for what was removed"),
    "multiple-removal": Method("weights", True, "all at once, with the least-squares optimum of what is left"),
}

GROWTHS: dict[str, Growth] = {
    "grow-width": Growth("width", "every width times the factor, by equal copies: the same function"),
    "grow-width-noise": Growth("width", "the same, read by unequal shares, so that copies learn apart", seeded=True),
    "grow-inner": Growth("inner", "heads and channels times the factor, by equal copies: the same function"),
    "grow-inner-noise": Growth("inner", "the same, read by unequal shares, so that copies learn apart", seeded=True),
    "grow-depth-zero": Growth("depth", "after each block copies of it that add nothing yet: the same function"),
    "grow-depth-stack": Growth("depth", "all blocks again after the last: another function"),
}


def growing(method: str) -> Growth:
    """The growth of a name. Raises UserError if there is none."""
    if method not in GROWTHS:
        raise UserError("no such growth", key="method", found=method, expected=f"one of: {', '.join(GROWTHS)}")
    return GROWTHS[method]


def taking(method: str, **options: Any) -> Method:
    """The method of a name, if it takes the given options: structure, protect, groups; None is not given.

    Raises:
        UserError: an unknown method, or an option that it doesn't take.
    """
    if method not in METHODS:
        raise UserError("no such method", key="method", found=method, expected=f"one of: {', '.join(METHODS)}")
    chosen = METHODS[method]
    taken = {"structure": "weights", "protect": "blocks", "groups": "width"}
    for key, value in options.items():
        if value is not None and chosen.removes != taken[key]:
            takers = ", ".join(name for name, other in METHODS.items() if other.removes == taken[key])
            raise UserError(f"{method} takes no {key}", key=key, found=value, expected=f"none, or one of: {takers}")
    return chosen


def check_text(method: str, has_text: bool) -> None:
    """Raises UserError if a method needs calibration text and there is none."""
    if METHODS[method].text and not has_text:
        raise UserError(f"{method} needs calibration text", key="text", found="none", expected="a calibration set")
