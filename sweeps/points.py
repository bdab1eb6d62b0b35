"""Points of a sweep's grid as its studies declare them. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, TypeVar

from repro import strict
from repro.bounds import SEEDS
from repro.errors import UserError
from repro.spec import Sparsity
from repro.strict import Above, Between
from sweeps.overrides import Window

T = TypeVar("T")
Match = Literal["prunable", "total"]
PUBLIC = "public"  # budget of models that somebody else has trained

FinalSparsity = Annotated[Sparsity, "final sparsity; 0 for a dense run"]
Sparsities = Annotated[tuple[Sparsity, ...], "final sparsities; 0 is a dense run"]
Size = Annotated[str, "a label of `sizes`"]
Sizes = Annotated[tuple[str, ...], "labels of `sizes`"]
Budget = Annotated[str, "a label of `budgets`"]
Budgets = Annotated[tuple[str, ...], "labels of `budgets`"]
Seed = Annotated[int, Between(0, SEEDS), "seed of the initialisation and of the data order"]
SeedList = Annotated[tuple[Seed, ...], "seeds, one run for each"]
TokensPerParam = Annotated[float, Above(0, "tokens per prunable parameter")]
Ratio = TokensPerParam | dict[str, TokensPerParam]  # of all sizes, or by size label


@strict.dataclass
class Cells:
    """Part of a map: each of its sizes at each of its budgets."""

    sizes: Sizes
    budgets: Budgets
    seeds: Annotated[SeedList | None, "their own seeds; null takes those of the study"] = None


def tokens_per_param(budgets: Mapping[str, Ratio], budget: str, size: str) -> float:
    """Tokens of a size's dense run per prunable parameter.

    Raises:
        UserError: there is no such budget, or it names other sizes only; the key begins with `budgets`.
    """
    ratio = chosen(budgets, budget, "budgets")
    if not isinstance(ratio, dict):
        return ratio
    if size not in ratio:
        expected = f"a number for {size} too, or one number for all sizes"
        raise UserError(
            f"a budget that doesn't name {size}, which is trained with it",
            key=f"budgets.{budget}",
            found=", ".join(ratio) or "no size",
            expected=expected,
        )
    return ratio[size]


def chosen(options: Mapping[str, T], name: str, block: str) -> T:
    """The entry of a block of the sweep file.

    Raises:
        UserError: there is none of this name.
    """
    if name not in options:
        raise unknown(f"no such entry in {block}", name, options)
    return options[name]


def unknown(what: str, label: str, known: Iterable[str], *, key: str | None = None, shape: str = "") -> UserError:
    """The error for a label that isn't known. shape: what labels are made like, before "one of"."""
    return UserError(what, key=key, found=label, expected=f"{shape}one of: {', '.join(known)}")


@strict.dataclass
class Point:
    """One point of the grid."""

    size: Size
    budget: Budget
    sparsity: FinalSparsity = 0.0
    window: Annotated[Window | None, "when it prunes; null is the sweep's default"] = None
    seeds: Annotated[SeedList | None, "its own seeds; null takes those of the study"] = None


Points = Annotated[tuple[Point, ...], "points of the grid"]
