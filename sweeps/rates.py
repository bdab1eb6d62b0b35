"""How the learning rates of a sweep's runs go with their size, tokens and density. No torch, no Ray."""

from __future__ import annotations

from typing import Annotated

from repro import strict
from repro.spec import ModelSpec
from repro.strict import Above

DIGITS = 3  # significant digits of a learning rate that is computed


@strict.dataclass
class RateExponents:
    """Exponents of a power law for the learning rate around the `lr` of each size; if all are 0, every run of a size has that `lr`.

    A search for learning rates (study `lr`, then `python -m analysis lr`) measures them.
    """

    tokens_per_param: Annotated[
        float, Above(0), "tokens of the dense run per prunable parameter for which the `lr` of each size was chosen"
    ] = 20.0
    tokens: Annotated[float, "exponent of the dense run's tokens per prunable parameter"] = 0.0
    params: Annotated[
        float, "exponent of a dense partner's prunable parameters over those of the sparse run's size"
    ] = 0.0
    density: Annotated[float, "exponent of a sparse run's final density"] = 0.0

    def at(self, lr: float, factor: float) -> float:
        """A size's learning rate times such a factor, in DIGITS digits; `lr` itself where there are no exponents."""
        is_fixed = not (self.tokens or self.params or self.density)
        return lr if is_fixed else float(f"{lr * factor:.{DIGITS}g}")

    def factor(self, model: ModelSpec, size: ModelSpec, tokens_per_param: float, sparsity: float = 0.0) -> float:
        """A run's learning rate over the `lr` of its size.

        Args:
            model: the run's own. size: that of the size; another only for a dense partner.
            tokens_per_param: tokens of the dense run of `model` per prunable parameter.
            sparsity: the run's final sparsity.
        """
        return float(
            (tokens_per_param / self.tokens_per_param) ** self.tokens
            * (model.shape.prunable / size.shape.prunable) ** self.params
            * (1 - sparsity) ** self.density
        )
