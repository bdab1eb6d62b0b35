"""A solvable model whose parameter count changes while it trains: random features that N(t) switches on and off.

The model is that of Bordelon, Atanasov and Pehlevan (arXiv 2402.01092, section 2), in discrete time and without noise of
batches. A target sum_k w*_k psi_k(x) of M orthogonal modes, E[psi_k^2] = lambda_k, is learned by N0 random features of
them, (A psi)_j with A_jk ~ N(0, 1), as (1/N0) sum_j w_j (A psi)_j. With v_k(t) what is left to learn of mode k, the loss
is half the mean squared error over the population, and a step is one of its full gradient:

    v(t) = w* - A^T w(t) / N0,    L(t) = 1/2 sum_k lambda_k v_k(t)^2,    w_j(t+1) = w_j(t) + rate * (A Lambda v(t))_j

Features 1 to N(t) are present in step t; the change comes before the step, as a pruning event of this suite does. The
normalisation stays 1/N0 and the rate is per feature, so that a step is worth N(t), as in the law: halving the features
halves the kernel. A feature that is absent doesn't train. What becomes of its weight is `removal`:

* zeroed: w_j = 0 at once, and it returns with 0, as the weights of a run here. Which features go doesn't depend on their
  weights, so much is lost with them; removal by magnitude loses less and isn't solvable in this way.
* frozen: w_j stays in the function as it is and trains on when it returns: a removal that loses nothing.

Solution: dynamical mean-field theory (their section 3, with one group of features for each pattern of presence), exact
for N0 and M to infinity at any ratio, with relative errors of order 1/N0. Averaged over A, a mode's rest is moved by what
all features answer to it, Gamma, and by noise of covariance Q from the finite number of features; a feature's weight is
moved by a Gaussian force u of covariance C and by what all modes answer to it, K. With F_g(t, s) the weight that a unit of
force at s leaves in a feature of group g at t, and n_g features in it, all (T+1, T+1), lower triangular:

    R_g = (1 - F_g K)^-1 F_g,   Gamma = sum_g n_g R_g / N0,   chi_k = (1 + lambda_k Gamma)^-1,   K = - sum_k lambda_k chi_k / N0
    <v_k v_k^T> = chi_k (w*_k^2 1 1^T + Q) chi_k^T,   C = sum_k lambda_k^2 <v_k v_k^T>,   Q = sum_g n_g R_g C R_g^T / N0^2

For N0 to infinity K and Q vanish. Then, if no feature is zeroed, v_k(t+1) = (1 - rate lambda_k N(t)/N0) v_k(t): for a small
rate the loss at the end depends on the mean of N(t) alone, however N(t) moves. Where the rate changes, it is the mean of
rate(t) N(t) that counts: again the same for all schedules of one compute if the rate follows the share of compute spent,
but not if it follows the steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.laws.law import Array

Removal = Literal["zeroed", "frozen"]
ROUNDS = 500
ENOUGH = 1e-9  # relative change of a round at which a fixed point is reached; causal, so never after T rounds


@dataclass(frozen=True)
class RandomFeatureModel:
    """The model averaged over its features.

    Attributes:
        features: N0, all features. May be huge: the cost doesn't depend on it.
        eigenvalues: lambda_k, (M,). targets: w*_k^2, (M,).
        rate: learning rate. Steps are stable while rate * (lambda_1 + sum_k lambda_k / N0) is below about 2.
    """

    features: float
    eigenvalues: Array
    targets: Array
    rate: float

    @classmethod
    def power_law(
        cls, features: float, *, decay: float = 1.0, task: float = 1.5, modes: int = 256, rate: float = 0.7
    ) -> RandomFeatureModel:
        """Eigenvalues k^-decay, of which the target holds lambda_k w*_k^2 = k^-task: b and a of the paper."""
        k = np.arange(1.0, modes + 1)
        return cls(features, k**-decay, k ** (decay - task), rate)

    def losses(self, counts: Array, removal: Removal = "zeroed", rates: Array | None = None) -> Array:
        """The mean loss before each step and after the last, (T+1,).

        Args:
            counts: N(t), features present in each step, (T,); fractions are allowed.
            rates: factor of the learning rate in each step, (T,); None: 1.

        Raises:
            ValueError: more features than there are, or fewer than none.
            FloatingPointError: the steps are so large that no solution is found.
        """
        if not ((counts >= 0) & (counts <= self.features)).all():
            raise ValueError(f"{counts.min():g} to {counts.max():g} features of {self.features:g}")
        steps = self.rate * (np.ones(len(counts)) if rates is None else rates)
        shares, memory = self._groups(counts, steps, removal)
        try:
            with np.errstate(over="raise", invalid="raise"):
                answer, chi = self._responses(shares, memory)
                noise = self._noise(shares, answer, chi)
                power = self.targets[:, None] * chi.sum(2) ** 2 + ((chi @ noise) * chi).sum(2)  # <v_k(t)^2>
        except np.linalg.LinAlgError as error:
            raise FloatingPointError("steps too large to solve for") from error
        mean: Array = 0.5 * self.eigenvalues @ power
        return mean

    def _groups(self, counts: Array, steps: Array, removal: Removal) -> tuple[Array, Array]:
        """n_g / N0, (G,), and F_g, (G, T+1, T+1), of the features that are always present together."""
        counts, steps = np.append(counts, counts[-1]), np.append(steps, 0.0)
        levels = np.unique(np.append(counts, 0.0))
        on = counts > levels[:-1, None]  # (G, T+1)
        held = on[:, None, :] & np.tri(len(counts), k=-1, dtype=bool)
        if removal == "zeroed":  # only what was learned since the last absence is there
            absences = np.cumsum(~on, axis=1)
            held &= on[:, :, None] & (absences[:, :, None] == absences[:, None, :])
        return np.diff(levels) / self.features, held * steps

    def _responses(self, shares: Array, memory: Array) -> tuple[Array, Array]:
        """R_g, (G, T+1, T+1), and chi_k, (M, T+1, T+1)."""
        one = np.eye(memory.shape[1])
        back = np.zeros_like(one)
        for _ in range(ROUNDS):
            answer = np.asarray(np.linalg.solve(one - memory @ back, memory), np.float64)
            gamma = np.tensordot(shares, answer, 1)
            chi = np.asarray(np.linalg.inv(one + self.eigenvalues[:, None, None] * gamma), np.float64)
            before, back = back, -np.tensordot(self.eigenvalues, chi, 1) / self.features
            if np.abs(back - before).max() <= ENOUGH * np.abs(back).max():
                return answer, chi
        raise FloatingPointError("no fixed point of the responses")

    def _noise(self, shares: Array, answer: Array, chi: Array) -> Array:
        """Q, (T+1, T+1)."""
        weight = self.eigenvalues**2
        mean = chi.sum(2)
        signal = (mean.T * (weight * self.targets)) @ mean
        noise = np.zeros_like(signal)
        for _ in range(ROUNDS):
            force = signal + np.tensordot(weight, chi @ noise @ chi.transpose(0, 2, 1), 1)
            spread = np.tensordot(shares, answer @ force @ answer.transpose(0, 2, 1), 1)
            before, noise = noise, spread / self.features
            if np.abs(noise - before).max() <= ENOUGH * np.abs(noise).max():
                return noise
        raise FloatingPointError("no fixed point of the noise")
