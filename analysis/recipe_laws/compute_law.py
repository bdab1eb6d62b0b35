"""The law of one recipe along a ladder: loss against compute alone."""

from __future__ import annotations

import numpy as np

from analysis.laws.law import Columns, Parameter, Term, TermLaw, Values, constant, power


class ComputeLaw(TermLaw):
    """E + A / C^gamma, with C the training FLOP of runs whose size and tokens grow together."""

    name = "compute"
    formula = "E + A/C^γ"
    source = "Kaplan et al. 2020, arXiv 2001.08361, with an irreducible loss"
    columns = ("C",)
    parameters = (
        Parameter("E", "nats/token", 0.0, np.inf),
        Parameter("A", "nats/token * FLOP^gamma", 1e-9, 1e40, log=True),
        Parameter("gamma", "", 0.005, 1.5, starts=(0.03, 0.06, 0.1, 0.17, 0.3, 0.5)),
    )

    def terms(self, p: Values, x: Columns) -> list[Term]:
        return [constant(p), power(p, "A", "gamma", np.log(x["C"]))]


COMPUTE = ComputeLaw()
