"""Life: what a model has been through, summed over a run and the runs from whose weights it starts."""

from __future__ import annotations

from dataclasses import dataclass

from repro import ladder


@dataclass(frozen=True)
class Life:
    """Sums over training steps, of one run or of several in a row.

    Attributes:
        tokens: D, the tokens seen.
        weight_tokens: sum over steps of N_t times the tokens of that step.
        effective_flops: sum of each run's 6 * tokens a step * sum of N_t.
    """

    tokens: int = 0
    weight_tokens: int = 0
    effective_flops: float = 0.0

    def then(self, steps: int, weight_steps: int, tokens_per_step: int) -> Life:
        """This life with `steps` more, over which N_t sums to `weight_steps`."""
        return Life(
            self.tokens + steps * tokens_per_step,
            self.weight_tokens + weight_steps * tokens_per_step,
            self.effective_flops + ladder.effective_flops(weight_steps, tokens_per_step),
        )

    @property
    def n_avg(self) -> float:
        """Mean of N_t over the tokens; where every step has as many of them, over the steps: N_avg."""
        return self.weight_tokens / self.tokens
