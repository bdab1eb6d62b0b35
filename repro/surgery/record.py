"""The record of a surgery: everything that a model's card and its tables say about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from repro.ladder import Shape


@dataclass(frozen=True)
class SurgeryRecord:
    """One pruning.

    Attributes:
        method: a key of catalogue.METHODS. structure: "unstructured" or "N:M" of masks; null of what removes whole parts.
        rate: the asked share of all parameters; None if the method's structure decides.
        seed: of random methods; None of others.
        params_before, params_after: all parameters; a removed weight doesn't count, a tied head counts once.
        linear_before, linear_after: weights of linear layers, LM head included unless it is tied.
        calibration: CalibrationSet.to_dict(); None without.
        removed: what is gone: "blocks"; "groups" and "channels" of each block; or "weights" by parameter.
        settings: choices of the method that have defaults.
    """

    method: str
    structure: str | None
    rate: float | None
    seed: int | None
    params_before: int
    params_after: int
    linear_before: int
    linear_after: int
    calibration: dict[str, Any] | None
    removed: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def rate_all(self) -> float:
        """The share of all parameters that was removed."""
        return 1 - self.params_after / self.params_before

    @property
    def rate_linear(self) -> float:
        """The share of the weights of linear layers that was removed."""
        return 1 - self.linear_after / self.linear_before

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"rate_all": self.rate_all, "rate_linear": self.rate_linear}


@dataclass(frozen=True)
class GrowthRecord:
    """One growth.

    Attributes:
        method: a key of catalogue.GROWTHS.
        factor: of the number of blocks, or of the widths that it grows.
        seed: of methods that draw; None of others.
        params_before, params_after, linear_before, linear_after: as in SurgeryRecord; weights that are zero yet count.
        settings: choices of the method.
    """

    method: str
    factor: int
    seed: int | None
    params_before: int
    params_after: int
    linear_before: int
    linear_after: int
    settings: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        said = asdict(self)
        return said | growth(said)


def growth(said: dict[str, int]) -> dict[str, float]:
    """Parameters after a growth over those before, of all and of linear layers, from the four counts of a record."""
    return {
        "growth_all": said["params_after"] / said["params_before"],
        "growth_linear": said["linear_after"] / said["linear_before"],
    }


def counts(before: Shape, after: Shape, zeros: int = 0) -> dict[str, int]:
    """The four counts of a record. zeros: removed weights that are stored as zeros."""
    return {
        "params_before": before.total,
        "params_after": after.total - zeros,
        "linear_before": before.prunable,
        "linear_after": after.prunable - zeros,
    }
