"""Mirrored sets: runs of equal N_avg, tokens and compute whose N(t) falls, rises, or is constant with a fixed or moving mask, found by their columns.

A set is a family at one seed. Its members are of one kind each and have the learning rate that most of the set has; a
control differs from the member of its kind in one column at least, and is named by those in which it does. Dense runs
are in no set, and are found beside it by their counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from analysis.tables.data import Runs, Tables
from repro import studies
from repro.schedule import FALLING

Kind = Literal["falling", "rising", "static", "moving", "static_dense", "saw_tooth"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# What the member of a kind has: score, choose and fill.
USUAL: Mapping[Kind, tuple[str, str | None, str | None]] = {
    "falling": ("magnitude", None, None),
    "rising": ("random", "random", "zero"),
    "static": ("random", None, None),
    "moving": ("random", "random", "zero"),
    "static_dense": ("random", "random", "zero"),
    "saw_tooth": ("magnitude", "random", "zero"),
}
SAID: Mapping[Kind, str] = {kind: kind for kind in KINDS} | {
    "static_dense": "static, then dense",
    "saw_tooth": "saw-tooth",
}  # for readers
SAME_COUNT = 0.02  # share of a count within which a dense run has it


def kind_of(run: Mapping[str, Any]) -> Kind | None:
    """How a run's N(t) goes; None of a dense run and of what no set is made of."""
    mirror = run["mirror"] is True
    if run["shape"] in FALLING:
        return "rising" if mirror else "falling"
    if run["shape"] == "constant":
        return "static" if run["moves"] is None else "moving"
    return run["shape"] if run["shape"] in ("static_dense", "saw_tooth") and not mirror else None


@dataclass(frozen=True)
class Control:
    """Runs of a kind that differ from its member. `differs`: in what, for readers. `multiple`: of the set's learning rate, where they differ in that alone."""

    kind: Kind
    differs: str
    runs: Runs
    multiple: float | None = None


@dataclass(frozen=True)
class MirroredSet:
    """The sets of one family, over their seeds.

    Attributes:
        members: runs by kind, one a seed. controls: the others.
        full: dense runs of the size before pruning, on the set's tokens. partner: dense runs of its N_avg, of a width of their
            own; equal_width: of the set's width. All empty where there are none.
    """

    family: str
    members: Mapping[Kind, Runs]
    controls: tuple[Control, ...]
    full: Runs
    partner: Runs
    equal_width: Runs

    @property
    def _one(self) -> dict[str, Any]:
        return next(next(iter(self.members.values())).rows())

    @property
    def name(self) -> str:
        return f"{self._one['size']} {self._one['budget']} at {self.sparsity:.0%}"

    @property
    def sparsity(self) -> float:
        """That of the falling member at its end."""
        falling = self.members.get("falling")
        return float(self._one["sparsity"] if falling is None else falling["sparsity"][0])

    @property
    def n(self) -> float:
        """Prunable weights."""
        return float(self._one["N_prunable"])

    @property
    def n_avg(self) -> float:
        return float(self._one["N_avg"])

    @property
    def d(self) -> float:
        """Tokens."""
        return float(self._one["D"])

    def tries(self, kind: Kind) -> dict[float, Runs]:
        """Runs of a kind by multiple of the set's learning rate, the member's among them."""
        found = {own.multiple: own.runs for own in self.controls if own.kind == kind and own.multiple is not None}
        if kind in self.members:
            found[1.0] = self.members[kind]
        return dict(sorted(found.items()))


def mirrored_sets(tables: Tables) -> tuple[MirroredSet, ...]:
    """The sets of the study `mirror`, by size, tokens and sparsity."""
    runs = tables.selected(lambda r: r.serves(studies.MIRROR))
    kinds = np.array([kind_of(run) for run in runs.rows()], dtype=object)
    sparse, dense = runs.where(kinds != None), runs.where(~runs.sparse)  # noqa: E711 (an array)
    found = [_set(sparse.where(sparse["family"] == family), dense) for family in dict.fromkeys(sparse["family"])]
    return tuple(sorted((own for own in found if own.members), key=lambda s: (s.n, s.d / s.n, s.sparsity)))


def _set(runs: Runs, dense: Runs) -> MirroredSet:
    lr, lr_schedule = (Counter(runs[name]).most_common(1)[0][0] for name in ("lr", "lr_schedule"))
    rows: dict[tuple[Kind, str, float | None], list[int]] = defaultdict(list)
    for i, run in enumerate(runs.rows()):
        kind = kind_of(run)
        assert kind is not None
        usual = dict(zip(("score", "choose", "fill"), USUAL[kind], strict=True)) | {"lr_schedule": lr_schedule}
        other = [f"{name} {run[name]}" for name, value in usual.items() if run[name] != value]
        multiple = None if np.isclose(run["lr"], lr) else float(run["lr"] / lr)
        if multiple is not None:
            other.append(f"lr × {multiple:.3g}")
        rows[kind, ", ".join(other), multiple if len(other) == 1 else None].append(i)
    groups = {key: runs.where(np.array(own)) for key, own in rows.items()}
    members = {kind: groups[kind, "", None] for kind in KINDS if (kind, "", None) in groups}
    controls = tuple(Control(kind, text, own, times) for (kind, text, times), own in groups.items() if text)
    one = next(runs.rows())
    beside = dense.where((dense["D"] == one["D"]) & (dense["batch_tokens"] == one["batch_tokens"]))
    alike = beside.where(_near(beside, one["N_avg"]))
    same_width = alike["d_model"] == one["d_model"]
    return MirroredSet(
        str(one["family"]), members, controls,
        full=beside.where(beside["N_prunable"] == one["N_prunable"]),
        partner=alike.where(~same_width), equal_width=alike.where(same_width),
    )  # fmt: skip


def _near(runs: Runs, count: float) -> np.ndarray:
    return np.abs(runs["N_prunable"] / count - 1) < SAME_COUNT
