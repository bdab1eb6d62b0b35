"""The law registry. To add a law: write one small class and put it into `LAWS`; one test takes every law."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from analysis.laws.law import NOTHING, Array, Columns, Law, Parameter, Published, Term, Values, constant, power

EXPONENTS = (0.1, 0.2, 0.3, 0.45, 0.65, 0.9)
FEW_EXPONENTS = (0.2, 0.4, 0.7)

IRREDUCIBLE = Parameter("E", "nats/token", 0.0, np.inf)
_A = Parameter("A", "nats/token * parameters^alpha", 1e-9, 1e30, log=True)
_ALPHA = Parameter("alpha", "", 0.01, 2.5, starts=EXPONENTS)
_B = Parameter("B", "nats/token * tokens^beta", 1e-9, 1e30, log=True)
_BETA = Parameter("beta", "", 0.01, 2.5, starts=EXPONENTS)


class PowerLaw(Law):
    """E + A / X^alpha + B / D^beta, with X one count of parameters (Hoffmann et al. 2022, approach 3).

    Args:
        name: key in the registry.
        count: the column that X is.
        source: who proposed this count.
        published: see Law.
    """

    parameters = (IRREDUCIBLE, _A, _ALPHA, _B, _BETA)

    def __init__(self, name: str, count: str, source: str, published: Published | None = None):
        self.name, self.count, self.source, self.published = name, count, source, published or NOTHING
        self.columns = (count, "D")
        self.formula = f"E + A/{self.label}^α + B/D^β"

    @property
    def label(self) -> str:
        return {"N_prunable": "N_dense"}.get(self.count, self.count)

    def terms(self, p: Values, x: Columns) -> list[Term]:
        return [
            constant(p),
            power(p, "A", "alpha", np.log(x[self.count])),
            power(p, "B", "beta", np.log(x["D"])),
        ]


class EffectiveCountLaw(Law):
    """The power law in X = N_final^w * N_prunable^(1 - w): w = 0 is the dense count, w = 1 the final one."""

    name = "N_effective"
    label = "N_final^w·N_dense^(1−w)"
    formula = "E + A/(N_final^w·N_dense^(1−w))^α + B/D^β"
    source = "the rival that a law set at one schedule can't tell from N_avg"
    columns = ("N_final", "N_prunable", "D")
    parameters = (IRREDUCIBLE, _A, _ALPHA, _B, _BETA, Parameter("w", "", 0.0, 1.5, starts=(0.1, 0.5, 0.9)))

    def terms(self, p: Values, x: Columns) -> list[Term]:
        final, dense = np.log(x["N_final"]), np.log(x["N_prunable"])
        count = p["w"] * final + (1 - p["w"]) * dense
        size = Term("A", -p["alpha"] * count, {"alpha": -count, "w": -p["alpha"] * (final - dense)})
        return [constant(p), size, power(p, "B", "beta", np.log(x["D"]))]


class SparseLaw(Law):
    """Frantar et al. 2023: (a_S (1 - S)^b_S + c_S) N^-b_N + a_D D^-b_D + c, with N non-zero parameters.

    The paper writes the data term as (a_D / D)^b_D, but its constants give its objective only as a_D D^-b_D.
    """

    name = "sparse"
    formula = "(a_S(1−S)^b_S + c_S)·N^−b_N + a_D·D^−b_D + c"
    source = "Frantar et al. 2023, arXiv 2309.08520, eq. 1"
    columns = ("N", "S", "D")
    parameters = (
        Parameter("c", "nats/token", 0.0, np.inf),
        Parameter("a_S", "nats/token * parameters^b_N", 1e-9, 1e30, log=True),
        Parameter("c_S", "nats/token * parameters^b_N", 1e-9, 1e30, log=True),
        Parameter("a_D", "nats/token * data^b_D", 1e-9, 1e30, log=True),
        Parameter("b_S", "", 0.01, 5.0, starts=(0.3, 0.7, 1.5)),
        Parameter("b_N", "", 0.01, 2.5, starts=EXPONENTS),
        Parameter("b_D", "", 0.01, 2.5, starts=EXPONENTS),
    )
    published = MappingProxyType({
        "T5/C4, N in millions, D in 1e5 steps": {
            "a_S": 0.56779, "b_S": 0.72161, "c_S": 1.52265, "b_N": 0.24513, "a_D": 0.63362, "b_D": 0.20271, "c": 0.65074,
        },
        "ViT/JFT, N in millions, D in 1e9 examples": {
            "a_S": 1.30485, "b_S": 0.82101, "c_S": 2.07506, "b_N": 0.39223, "a_D": 0.27818, "b_D": 0.88979, "c": 4.51669,
        },
    })  # fmt: skip

    def terms(self, p: Values, x: Columns) -> list[Term]:
        count, density = np.log(x["N"]), np.log1p(-x["S"])
        left = Term("a_S", p["b_S"] * density - p["b_N"] * count, {"b_S": density, "b_N": -count})
        return [constant(p, "c"), left, power(p, "c_S", "b_N", count), power(p, "a_D", "b_D", np.log(x["D"]))]


class OverTrainingLaw(Law):
    """Gadre et al. 2024: E + (a M^eta + b M^-eta) C^-eta, with M = D / N and C = 6 N D.

    So a term in N alone, a (6 N^2)^-eta, and one in D alone, b (6 D^2)^-eta, of one exponent.
    """

    name = "over_training"
    formula = "E + (a·M^η + b·M^−η)·C^−η, M = D/N, C = 6ND"
    source = "Gadre et al. 2024, arXiv 2403.08540, eq. 4"
    coarse = ("D",)  # one exponent: sizes at one ratio and one run far from it are enough
    columns = ("N", "D")
    parameters = (
        IRREDUCIBLE,
        Parameter("a", "nats/token * FLOP^eta", 1e-9, 1e30, log=True),
        Parameter("b", "nats/token * FLOP^eta", 1e-9, 1e30, log=True),
        Parameter("eta", "", 0.005, 1.5, starts=(0.05, 0.1, 0.15, 0.25, 0.4)),
    )
    published = MappingProxyType(
        {
            "C4": {"E": 1.51, "a": 141, "b": 190, "eta": 0.121},
            "RPJ": {"E": 1.84, "a": 212, "b": 367, "eta": 0.136},
            "RefinedWeb": {"E": 1.73, "a": 157, "b": 246, "eta": 0.127},
        }
    )

    def terms(self, p: Values, x: Columns) -> list[Term]:
        size, data = (np.log(6) + 2 * np.log(x[name]) for name in ("N", "D"))
        return [constant(p), power(p, "a", "eta", size), power(p, "b", "eta", data)]


class PrecisionLaw(Law):
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
        _A,
        _B,
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


class PostTrainingPruningLaw(Law):
    """P2, Chen et al. 2024: L0 + (1/rho)^gamma (1/N0)^delta (N_C / N0^alpha + D_C / D^beta + E).

    Columns: L0, the loss before pruning; rho, the pruning rate; N0, parameters before; D, tokens trained after.
    """

    name = "post_training_pruning"
    formula = "L0 + (1/ρ)^γ·(1/N0)^δ·(N_C/N0^α + D_C/D^β + E)"
    source = "Chen et al. 2024, arXiv 2411.10272, eq. 5"
    columns = ("L0", "rho", "N0", "D")
    parameters = (
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
        return [
            Term("E", common, slopes),
            Term("N_C", common - p["alpha"] * size, {**slopes, "alpha": -size}),
            Term("D_C", common - p["beta"] * data, {**slopes, "beta": -data}),
        ]


CHINCHILLA = PowerLaw(
    "chinchilla",
    "N",
    "Hoffmann et al. 2022, arXiv 2203.15556, approach 3",
    {
        "Hoffmann et al. 2022": {"E": 1.6934, "A": 406.4, "alpha": 0.3392, "B": 410.7, "beta": 0.2849},
        "Besiroglu et al. 2024": {"E": 1.8169, "A": 482.01, "alpha": 0.34781, "B": 2085.43, "beta": 0.36585},
    },
)
N_AVG = PowerLaw("N_avg", "N_avg", "Jin et al. 2025, arXiv 2501.12486")
N_FINAL = PowerLaw("N_final", "N_final", "the count of a pruned model that is deployed")
N_DENSE = PowerLaw("N_dense", "N_prunable", "Hoffmann et al. 2022, arXiv 2203.15556")
N_EFFECTIVE = EffectiveCountLaw()
SPARSE = SparseLaw()

LAWS: dict[str, Law] = {
    law.name: law
    for law in (
        CHINCHILLA,
        N_AVG,
        N_FINAL,
        N_DENSE,
        N_EFFECTIVE,
        SPARSE,
        OverTrainingLaw(),
        PrecisionLaw(),
        PostTrainingPrecisionLaw(),
        PostTrainingPruningLaw(),
    )
}
COUNTS: tuple[Law, ...] = (N_AVG, N_FINAL, N_DENSE, N_EFFECTIVE)  # one form, of one count or another
RIVALS: tuple[Law, ...] = (*COUNTS, SPARSE)  # the laws that claim (b) compares
