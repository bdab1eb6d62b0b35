"""Statistics of the inputs of linear layers on calibration text."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from repro.models.names import SITES
from repro.surgery.calibrate import Replay, States


@dataclass
class Moments:
    """Sums over tokens of a layer's inputs x, in float64.

    Attributes:
        total, squares: sums of x and of x^2, (inputs,).
        gram: the sum of x x^T, (inputs, inputs), with_gram.
    """

    with_gram: bool = False
    tokens: int = 0
    total: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    squares: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    gram: torch.Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.float64))

    def add(self, inputs: torch.Tensor) -> None:
        """Adds (tokens, inputs)."""
        exact = inputs.double()
        if not self.tokens:
            width = inputs.shape[1]
            self.total, self.squares = exact.new_zeros(width), exact.new_zeros(width)
            self.gram = exact.new_zeros(width, width) if self.with_gram else self.gram
        self.tokens += len(inputs)
        self.total += exact.sum(0)
        self.squares += exact.square().sum(0)
        if self.with_gram:
            self.gram += inputs.T @ inputs  # a pass' product in the precision of its inputs, the sum in float64

    @property
    def norm(self) -> torch.Tensor:
        """The root of the mean square of each input, (inputs,): Wanda's norm up to a factor."""
        return (self.squares / self.tokens).sqrt()

    @property
    def mean(self) -> torch.Tensor:
        return self.total / self.tokens

    @property
    def variance(self) -> torch.Tensor:
        """Of each input over tokens, (inputs,)."""
        return (self.squares / self.tokens - self.mean.square()).clamp_min(0)

    def wanda(self, weight: torch.Tensor) -> torch.Tensor:
        """Wanda's scores: |w| times the norm of its input, (outputs, inputs) float64."""
        return weight.double().abs() * self.norm

    @property
    def hessian(self) -> torch.Tensor:
        """2/n of the sum of x x^T over n tokens: the second derivative of the layer's mean squared error by a row."""
        return self.gram * (2 / self.tokens)


def observed(replay: Replay, states: States, *, with_gram: bool = False) -> dict[str, Moments]:
    """Statistics of the inputs of each linear layer of the block on the stage, at these hidden states.

    Layers that have the same inputs (see names.SITES) share them.
    """
    found = {site: Moments(with_gram) for site in SITES}
    replay.observe(states, lambda site, inputs: found[site].add(inputs))
    return {name: found[site] for site, names in SITES.items() for name in names}
