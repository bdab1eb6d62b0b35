"""RunSpec: everything that bears on the numbers of one run, and nothing else.

A spec is frozen and strict. Its canonical form (sorted JSON of literals) has a fingerprint; labels and
paths are left out of it, so the same spec on a laptop and on a cluster is one run. Where and how a run is
executed (devices, workers, ZeRO stage, micro-batch) is `resources.Resources`, which bears no identity.
"""

from repro.spec.corpus import CorpusSpec
from repro.spec.identity import canonical
from repro.spec.life import Life
from repro.spec.model import Init, ModelSpec
from repro.spec.run import Precision, RunSpec, RunStart, from_kept, load
from repro.spec.start import ModelStart
from repro.spec.training import (
    BATCH,
    DECAY,
    DistributionKey,
    DoNotPruneKey,
    EvalSpec,
    Interval,
    LearningRates,
    OptimizerSpec,
    PruningSpec,
    ScoreKey,
    Sparsity,
    StructureKey,
)

__all__ = [
    "BATCH",
    "DECAY",
    "CorpusSpec",
    "DistributionKey",
    "DoNotPruneKey",
    "EvalSpec",
    "Init",
    "Interval",
    "LearningRates",
    "Life",
    "ModelSpec",
    "ModelStart",
    "OptimizerSpec",
    "Precision",
    "PruningSpec",
    "RunSpec",
    "RunStart",
    "ScoreKey",
    "Sparsity",
    "StructureKey",
    "canonical",
    "from_kept",
    "load",
]
