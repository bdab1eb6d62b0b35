"""The law registry. To add a law: write one small class in a module beside this one, and put it into `LAWS`; one test covers every law."""

from __future__ import annotations

from analysis.laws.compression import (
    NestedPostTrainingLaw,
    PostTrainingPrecisionLaw,
    PostTrainingPruningLaw,
    PrecisionLaw,
)
from analysis.laws.law import Law
from analysis.laws.size_and_data import EffectiveCountLaw, OverTrainingLaw, PowerLaw, SparseLaw

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
P2 = PostTrainingPruningLaw()
P2_NESTED = NestedPostTrainingLaw()
N_AFTER = PowerLaw("N_after", "N1", "Hoffmann et al. 2022, arXiv 2203.15556, of all parameters that pruning leaves")

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
        P2,
        P2_NESTED,
        N_AFTER,
    )
}
COUNTS: tuple[Law, ...] = (N_AVG, N_FINAL, N_DENSE, N_EFFECTIVE)  # one form, of one count or another
RIVALS: tuple[Law, ...] = (*COUNTS, SPARSE)  # the laws that claim (b) compares
AFTER_PRUNING: tuple[Law, ...] = (P2, P2_NESTED, N_AFTER)  # those of training after pruning, which claim (p1) compares
