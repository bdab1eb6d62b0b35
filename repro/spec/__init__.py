"""RunSpec: everything that affects the numbers of one run, and nothing else.

A spec is frozen and strict. Its fingerprint is a hash of its canonical form (sorted JSON of literals) without
labels and paths, so that the same spec on a laptop and on a cluster is the same run. Where and how a run is
executed (devices, workers, ZeRO stage, micro-batch) is `resources.Resources`, which isn't part of the identity.
"""

from repro.spec.corpus import CorpusSpec
from repro.spec.identity import canonical
from repro.spec.lineage import UNREAD, Life, ModelStart, SurgeryKey
from repro.spec.model import Init, ModelSpec, RopeScaling
from repro.spec.pruning import (
    HOW,
    SHAPE,
    DistributionKey,
    DoNotPruneKey,
    Interval,
    MirrorKey,
    MovesSpec,
    PruningSpec,
    ScopeKey,
    ScoreKey,
    Sparsity,
    StructureKey,
)
from repro.spec.run import Precision, RunSpec, RunStart, from_kept, load
from repro.spec.surgery import CalibrationSpec, SurgerySpec
from repro.spec.training import BATCH, DECAY, EvalSpec, LearningRates, OptimizerSpec
