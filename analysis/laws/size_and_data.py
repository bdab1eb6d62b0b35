"""Laws of sizes and tokens: one form in each count of parameters, sparse models, over-training."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from analysis.laws.law import NOTHING, Columns, Parameter, Published, Term, TermLaw, Values, constant, power

EXPONENTS = (0.1, 0.2, 0.3, 0.45, 0.65, 0.9)
FEW_EXPONENTS = (0.2, 0.4, 0.7)

IRREDUCIBLE = Parameter("E", "nats/token", 0.0, np.inf)
SIZE_SCALE = Parameter("A", "nats/token * parameters^alpha", 1e-9, 1e30, log=True)
SIZE_EXPONENT = Parameter("alpha", "", 0.01, 2.5, starts=EXPONENTS)
DATA_SCALE = Parameter("B", "nats/token * tokens^beta", 1e-9, 1e30, log=True)
DATA_EXPONENT = Parameter("beta", "", 0.01, 2.5, starts=EXPONENTS)


class PowerLaw(TermLaw):
    """E + A / X^alpha + B / D^beta, with X one count of parameters (Hoffmann et al. 2022, approach 3).

    Args:
        name: key in the registry.
        count: the column that X is.
        source: who proposed this count.
        published: see Law.
    """

    parameters = (IRREDUCIBLE, SIZE_SCALE, SIZE_EXPONENT, DATA_SCALE, DATA_EXPONENT)

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


class EffectiveCountLaw(TermLaw):
    """The power law in X = N_final^w * N_prunable^(1 - w): w = 0 is the dense count, w = 1 the final one."""

    name = "N_effective"
    label = "N_final^w·N_dense^(1−w)"
    formula = "E + A/(N_final^w·N_dense^(1−w))^α + B/D^β"
    source = "the rival that a law set at one schedule can't distinguish from N_avg"
    columns = ("N_final", "N_prunable", "D")
    parameters = (
        IRREDUCIBLE,
        SIZE_SCALE,
        SIZE_EXPONENT,
        DATA_SCALE,
        DATA_EXPONENT,
        Parameter("w", "", 0.0, 1.5, starts=(0.1, 0.5, 0.9)),
    )

    def terms(self, p: Values, x: Columns) -> list[Term]:
        final, dense = np.log(x["N_final"]), np.log(x["N_prunable"])
        count = p["w"] * final + (1 - p["w"]) * dense
        size = Term("A", -p["alpha"] * count, {"alpha": -count, "w": -p["alpha"] * (final - dense)})
        return [constant(p), size, power(p, "B", "beta", np.log(x["D"]))]


class SparseLaw(TermLaw):
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


class OverTrainingLaw(TermLaw):
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
