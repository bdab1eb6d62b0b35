"""Life: tokens, weights and FLOPs of a model, summed over a run and the runs that it starts from."""

from __future__ import annotations

from dataclasses import dataclass

from repro import ladder


@dataclass(frozen=True)
class Life:
    """Sums over the training steps of one run or of several consecutive runs.

    Attributes:
        tokens: D, the tokens seen.
        weight_tokens: sum over steps of N_t times the tokens of that step.
        effective_flops: sum over runs of 6 * tokens per step * sum of N_t.
    """

    tokens: int = 0
    weight_tokens: int = 0
    effective_flops: float = 0.0

    def then(self, steps: int, weight_steps: int, tokens_per_step: int) -> Life:
        """This life plus `steps` more, over which N_t sums to `weight_steps`."""
        return Life(
            self.tokens + steps * tokens_per_step,
            self.weight_tokens + weight_steps * tokens_per_step,
            self.effective_flops + ladder.effective_flops(weight_steps, tokens_per_step),
        )

    @property
    def n_avg(self) -> float:
        """N_avg: mean of N_t over tokens, i.e. over steps if all have equally many tokens."""
        return self.weight_tokens / self.tokens
