"""SurgerySpec: what is done to a model between two runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from repro.bounds import SEEDS
from repro.errors import UserError
from repro.spec.model import ModelSpec
from repro.spec.training import BATCH, PruningSpec
from repro.strict import Between, dataclass
from repro.surgery.amounts import blocks_at, check_rate, groups_at, narrowed, weights_at, width_at
from repro.surgery.catalogue import METHODS, taking
from repro.surgery.record import counts


@dataclass
class CalibrationSpec:
    """The sequences by which a method judges weights, drawn from the training part of the run's own text."""

    sequences: Annotated[int, Between(1, BATCH, "sequences"), "rows of the text, drawn without repetition"] = 128
    tokens: Annotated[
        int | None, Between(2, 2**24, "tokens"), "the first tokens of each row; null: the model's sequence"
    ] = None
    seed: Annotated[int, Between(0, SEEDS), "seed of the draw"] = 0


@dataclass
class SurgerySpec:
    """Pruning of a whole model between two runs (repro/surgery)."""

    method: Annotated[str, f"one of: {', '.join(METHODS)}"]
    rate: Annotated[
        float | None,
        Between(0, 1, "of all parameters", "[)"),
        "share of all parameters to remove; 0 removes nothing, a control; null, with N:M: all blocks",
    ] = None
    structure: Annotated[
        str | None, '"unstructured" or N:M, of methods that remove single weights; null: unstructured'
    ] = None
    calibration: Annotated[CalibrationSpec | None, "calibration set of methods that need one; null: its defaults"] = (
        None
    )
    seed: Annotated[int | None, Between(0, SEEDS), "seed of random methods; null: 0"] = None

    def __post_init__(self) -> None:
        chosen = taking(self.method, structure=self.structure)
        check_rate(self.rate, self.structure)
        given: tuple[tuple[str, object, bool], ...] = (
            ("calibration", self.calibration, chosen.text),
            ("seed", self.seed, chosen.seeded),
        )
        for key, value, taken in given:
            if value is not None and not taken:
                raise UserError(f"{self.method} takes no {key}", key=key, found=value, expected="none")
        # One surgery has one spec: what has a default is stated, and what doesn't matter is not.
        does = self.rate != 0
        usual: dict[str, object] = {
            "structure": self.structure or ("unstructured" if chosen.structures else None),
            "calibration": (self.calibration or CalibrationSpec()) if chosen.text and does else None,
            "seed": (self.seed or 0) if chosen.seeded and does else None,
        }
        for key, stated in usual.items():
            object.__setattr__(self, key, stated)

    def model_after(self, before: ModelSpec) -> ModelSpec:
        """The model that is left; zeros are still in it.

        Raises:
            UserError: a rate that the model doesn't allow.
        """
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
        if self.rate == 0 or METHODS[self.method].removes != "weights":
            return {}
        groups = check_rate(self.rate, self.structure)
        if groups is not None:
            return groups_at(before, groups, self.rate)
        assert self.rate is not None
        return weights_at(before, self.rate)

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

    def shares(self, before: ModelSpec) -> tuple[float, float]:
        """The removed share of all parameters, and that of the weights of linear layers."""
        counts = self.counts(before)
        return 1 - counts["params_after"] / counts["params_before"], 1 - counts["linear_after"] / counts[
            "linear_before"
        ]

    def counts(self, before: ModelSpec) -> dict[str, int]:
        """Parameters and weights of linear layers before and after, as in the record of a surgery."""
        return counts(before.shape, self.model_after(before).shape, sum(self.zeros(before).values()))
