"""SurgerySpec: what is done to a model between two runs."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated

from repro.bounds import SEEDS
from repro.errors import UserError
from repro.spec.identity import LATER
from repro.spec.model import ModelSpec
from repro.spec.pruning import PruningSpec
from repro.spec.training import BATCH
from repro.strict import Between, dataclass
from repro.surgery.amounts import blocks_at, check_rate, counts, grown, narrowed, rates, width_at, zeros_at
from repro.surgery.catalogue import GROWTHS, METHODS, growing, taking

MOST_GROWTH = 64


@dataclass
class CalibrationSpec:
    """The calibration set: sequences on which a method scores weights, drawn from the training part of the run's text."""

    sequences: Annotated[int, Between(1, BATCH, "sequences"), "rows of the text, drawn without replacement"] = 128
    tokens: Annotated[
        int | None,
        Between(2, 2**24, "tokens"),
        "tokens used of each row, from its first; null: as many as the model's sequence length",
    ] = None
    seed: Annotated[int, Between(0, SEEDS), "seed of the draw"] = 0


@dataclass
class SurgerySpec:
    """Pruning or growth of a whole model between two runs (repro/surgery)."""

    method: Annotated[str, f"to prune, one of: {', '.join(METHODS)}; to grow, one of: {', '.join(GROWTHS)}"]
    rate: Annotated[
        float | None,
        Between(0, 1, "of all parameters", "[)"),
        "share of all parameters to remove; 0 removes nothing, as a control; null is allowed with N:M: all blocks",
    ] = None
    structure: Annotated[
        str | None, '"unstructured" or N:M, for methods that remove single weights; null: unstructured'
    ] = None
    calibration: Annotated[CalibrationSpec | None, "calibration set, for methods that need one; null: the defaults"] = (
        None
    )
    seed: Annotated[int | None, Between(0, SEEDS), "seed, for methods that draw at random; null: 0"] = None
    factor: Annotated[
        int | None,
        Between(1, MOST_GROWTH, "times as many"),
        "for growth: how many times as many blocks, or as large widths; 1 changes nothing, as a control",
    ] = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if self.method not in METHODS | GROWTHS:
            expected = f"one of: {', '.join(METHODS | GROWTHS)}"
            raise UserError("no such method", key="method", found=self.method, expected=expected)
        chosen = growing(self.method) if self.grows else taking(self.method, structure=self.structure)
        refused = {
            "structure": not chosen.structures,
            "rate": self.grows,
            "factor": not self.grows,
            "calibration": not chosen.text,
            "seed": not chosen.seeded,
        }
        for key, refuses in refused.items():
            if refuses and (value := getattr(self, key)) is not None:
                raise UserError(f"{self.method} takes no {key}", key=key, found=value, expected="none")
        if not self.grows:
            check_rate(self.rate, self.structure)
        elif self.factor is None:
            raise UserError("no factor", key="factor", found="none", expected="a whole number, such as 2")
        # One surgery has one spec: what has a default is stated, and what doesn't matter is not.
        usual: dict[str, object] = {
            "structure": self.structure or ("unstructured" if chosen.structures else None),
            "calibration": (self.calibration or CalibrationSpec()) if chosen.text and self.changes else None,
            "seed": (self.seed or 0) if chosen.seeded and self.changes else None,
        }
        for key, stated in usual.items():
            object.__setattr__(self, key, stated)

    @property
    def grows(self) -> bool:
        """Whether it makes a model larger, by `factor`; otherwise smaller, by `rate`."""
        return self.method in GROWTHS

    @property
    def changes(self) -> bool:
        """Whether it does anything to the weights; a control doesn't."""
        return self.factor != 1 if self.grows else self.rate != 0

    def model_after(self, before: ModelSpec) -> ModelSpec:
        """The model that it makes; zeros are still in it.

        Raises:
            UserError: a rate or a factor that the model doesn't allow.
        """
        if self.factor is not None:
            return grown(before, self.method, self.factor)
        removes = METHODS[self.method].removes
        if not self.rate or removes == "weights":
            _ = self.zeros(before)  # rejects impossible rates
            return before
        if removes == "blocks":
            return replace(before, layers=before.layers - blocks_at(before, self.rate))
        return narrowed(before, *width_at(before, self.rate))

    def zeros(self, before: ModelSpec) -> dict[str, int]:
        """How many weights become zero, by parameter; empty where whole parts go.

        Raises:
            UserError: a rate or structure that the model doesn't allow.
        """
        if self.grows or self.rate == 0 or METHODS[self.method].removes != "weights":
            return {}
        return zeros_at(before, self.rate, self.structure)

    def masks(self, before: ModelSpec) -> PruningSpec:
        """How a run holds the zeros from its first step on: it prunes once, what is zero goes first, and nothing else goes."""
        zeros = self.zeros(before)
        if not zeros:
            return PruningSpec()
        all_weights = before.shape.prunable
        # Rounded down to the twelve digits that a schedule reads; then exactly these weights are left.
        sparsity = sum(zeros.values()) * 10**12 // all_weights / 10**12
        structure = self.structure or "unstructured"
        scope: tuple[str, ...] = ()
        if structure != "unstructured":
            scope = tuple(dict.fromkeys(".".join(name.split(".")[1:3]) for name in zeros))
        return PruningSpec(sparsity=sparsity, start=0.0, end=0.0, shape="constant", structure=structure, scope=scope)

    def rates(self, before: ModelSpec) -> dict[str, float]:
        """The removed shares of a surgery that prunes, as in its record."""
        return rates(self.counts(before))

    def counts(self, before: ModelSpec) -> dict[str, int]:
        """Parameters and weights of linear layers before and after, as in the record of a surgery."""
        return counts(before.shape, self.model_after(before).shape, sum(self.zeros(before).values()))
