"""Laws of compressed models: trained or quantised in low precision, or pruned after training."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from analysis.laws.law import Array, Columns, Parameter, Term, TermLaw, Values, constant, power
from analysis.laws.size_and_data import DATA_SCALE, FEW_EXPONENTS, IRREDUCIBLE, SIZE_SCALE


class PrecisionLaw(TermLaw):
    """Kumar et al. 2024: A N_eff^-alpha + B D^-beta + E, with N_eff = N * prod over parts of (1 - exp(-P / gamma)).

    Columns P_w, P_a, P_kv: bits of weights, activations and the key-value cache while training.
    """

    name = "precision"
    formula = "A·N_eff^−α + B·D^−β + E, N_eff = N·∏(1 − e^(−P/γ))"
    source = "Kumar et al. 2024, arXiv 2411.04330, eq. 9"
    columns: tuple[str, ...] = ("N", "D", "P_w", "P_a", "P_kv")
    coarse = ("P_w", "P_a", "P_kv", "P_post")
    parameters = (
        IRREDUCIBLE,
        SIZE_SCALE,
        DATA_SCALE,
        Parameter("alpha", "", 0.01, 2.5, starts=FEW_EXPONENTS),
        Parameter("beta", "", 0.01, 2.5, starts=FEW_EXPONENTS),
        *(Parameter(f"gamma_{part}", "bits", 0.05, 50.0, log=True, starts=(1.0, 3.0)) for part in ("w", "a", "kv")),
    )
    published = MappingProxyType({
        "OLMo-style models on Dolma": {
            "A": 4299, "alpha": 0.4965, "B": 18060, "beta": 0.4965, "E": 2.7648,
            "gamma_w": 2.6745, "gamma_a": 2.2102, "gamma_kv": 0.9578,
        }
    })  # fmt: skip

    def terms(self, p: Values, x: Columns) -> list[Term]:
        log_count, slopes = np.log(x["N"]), {}
        for part in ("w", "a", "kv"):
            gamma, bits = p[f"gamma_{part}"], x[f"P_{part}"]
            lost = np.exp(-bits / gamma)
            log_count = log_count + np.log1p(-lost)
            slopes[f"gamma_{part}"] = p["alpha"] * lost * bits / gamma**2 / (1 - lost)
        size = Term("A", -p["alpha"] * log_count, {"alpha": -log_count, **slopes})
        return [constant(p), size, power(p, "B", "beta", np.log(x["D"]))]


class PostTrainingPrecisionLaw(PrecisionLaw):
    """The same and the loss of quantising to P_post bits afterwards: C_T (D^gamma_D / N^gamma_N) exp(-P_post / gamma)."""

    name = "precision_post"
    formula = PrecisionLaw.formula + " + C_T·(D^γ_D/N^γ_N)·e^(−P_post/γ)"
    source = "Kumar et al. 2024, arXiv 2411.04330, eq. 10"
    columns = (*PrecisionLaw.columns, "P_post")
    parameters = (
        *PrecisionLaw.parameters,
        Parameter("C_T", "nats/token", 1e-12, 1e12, log=True),
        Parameter("gamma_D", "", 0.01, 2.5, starts=(0.5,)),
        Parameter("gamma_N", "", 0.01, 2.5, starts=(0.35,)),
        Parameter("gamma", "bits", 0.05, 50.0, log=True, starts=(0.6,)),
    )
    published = MappingProxyType({
        "OLMo-style models on Dolma": {
            **PrecisionLaw.published["OLMo-style models on Dolma"],
            "C_T": 0.0598, "gamma_D": 0.5068, "gamma_N": 0.3439, "gamma": 0.5907,
        }
    })  # fmt: skip

    def terms(self, p: Values, x: Columns) -> list[Term]:
        size, data, bits = np.log(x["N"]), np.log(x["D"]), x["P_post"]
        after = Term(
            "C_T",
            p["gamma_D"] * data - p["gamma_N"] * size - bits / p["gamma"],
            {"gamma_D": data, "gamma_N": -size, "gamma": bits / p["gamma"] ** 2},
        )
        return [*super().terms(p, x), after]


class PostTrainingPruningLaw(TermLaw):
    """P2, Chen et al. 2024: L0 + (1/rho)^gamma (1/N0)^delta (N_C / N0^alpha + D_C / D^beta + E).

    Columns: L0, the loss before pruning; rho, the share of all parameters that was removed; N0, all parameters before;
    D, tokens trained after. From two sizes N_C, alpha and E can't be told apart, and two rates are enough for gamma.
    """

    name = "post_training_pruning"
    formula = "L0 + (1/ρ)^γ·(1/N0)^δ·(N_C/N0^α + D_C/D^β + E)"
    source = "Chen et al. 2024, arXiv 2411.10272, L_1 as quoted by sciencestack"
    columns = ("L0", "rho", "N0", "D")
    coarse: tuple[str, ...] = ("rho",)
    parameters: tuple[Parameter, ...] = (
        Parameter("E", "nats/token * parameters^delta", 1e-12, 1e30, log=True),
        Parameter("N_C", "nats/token * parameters^(alpha + delta)", 1e-12, 1e30, log=True),
        Parameter("D_C", "nats/token * parameters^delta * tokens^beta", 1e-12, 1e30, log=True),
        Parameter("gamma", "", -5.0, 5.0, starts=(-1.0, 0.5)),
        Parameter("delta", "", -1.0, 2.5, starts=(0.1, 0.4)),
        Parameter("alpha", "", 0.01, 2.5, starts=FEW_EXPONENTS),
        Parameter("beta", "", 0.01, 2.5, starts=FEW_EXPONENTS),
    )

    def offset(self, x: Columns) -> Array:
        return x["L0"]

    def terms(self, p: Values, x: Columns) -> list[Term]:
        rate, size, data = np.log(x["rho"]), np.log(x["N0"]), np.log(x["D"])
        common, slopes = -p["gamma"] * rate - p["delta"] * size, {"gamma": -rate, "delta": -size}
        found = [
            Term("E", common, slopes),
            Term("D_C", common - p["beta"] * data, {**slopes, "beta": -data}),
        ]
        if "N_C" in p:
            found.append(Term("N_C", common - p["alpha"] * size, {**slopes, "alpha": -size}))
        return found

    def stays(self, theta: Array, rho: Array | float, n0: Array | float) -> Array:
        """Loss over L0 that remains at infinitely many tokens, nats, (...,). Arguments: see `tokens_until`."""
        p = {name: theta[..., i] for i, name in enumerate(self.names)}
        left = p["E"] + (p["N_C"] * n0 ** -p["alpha"] if "N_C" in p else 0.0)
        return np.asarray(left * rho ** -p["gamma"] * n0 ** -p["delta"])

    def tokens_until(self, theta: Array, within: Array | float, rho: Array | float, n0: Array | float) -> Array:
        """Tokens after which a model is `within` nats of L0, (...,); infinite where it never is.

        Args:
            theta: (..., P). within, rho, n0: broadcastable to the leading axes of theta.
        """
        p = {name: theta[..., i] for i, name in enumerate(self.names)}
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            left = (within - self.stays(theta, rho, n0)) * rho ** p["gamma"] * n0 ** p["delta"]
            return np.where(left > 0, np.exp(np.log(p["D_C"] / np.where(left > 0, left, 1.0)) / p["beta"]), np.inf)


class NestedPostTrainingLaw(PostTrainingPruningLaw):
    """P2 without its term in N_C: five parameters, all of which two sizes and two rates identify."""

    name = "post_training_nested"
    formula = "L0 + (1/ρ)^γ·(1/N0)^δ·(D_C/D^β + E)"
    source = "ours: L_1 of arXiv 2411.10272 with N_C = 0"
    coarse = ("rho", "N0")
    parameters = tuple(p for p in PostTrainingPruningLaw.parameters if p.name not in ("N_C", "alpha"))
