"""Names of the studies in sweep files, in the runs table's column `studies` and in the analysis."""

from __future__ import annotations

from typing import Final, Literal

StudyName = Literal[
    "schedules",
    "law",
    "pairs",
    "robustness",
    "iso_average",
    "dense",
    "seeds",
    "controls",
    "lr",
    "regime",
    "own_rates",
    "parents",
    "post_training",
    "mirror",
    "growth",
    "runs",
]

SCHEDULES: Final = "schedules"  # all pruning windows
LAW: Final = "law"  # sizes, budgets and sparsities at one schedule
PAIRS: Final = "pairs"  # sparse runs with dense partners
ROBUSTNESS: Final = "robustness"  # other learning rates and batches
ISO_AVERAGE: Final = "iso_average"  # equal averages of different sparsity and timing
DENSE: Final = "dense"  # further tokens-to-parameters ratios
SEEDS: Final = "seeds"  # the same configurations with other seeds
CONTROLS: Final = "controls"  # one thing changed at a time
LEARNING_RATES: Final = "lr"  # search for the best learning rate
REGIME: Final = "regime"  # a map over sizes and budgets of sparse runs with dense partners
OWN_RATES: Final = "own_rates"  # sparse runs of `law` and of pairs, each at its own best learning rate
PARENTS: Final = "parents"  # dense runs that surgery takes its models from
POST_TRAINING: Final = "post_training"  # pruned models that train on, and their controls
MIRROR: Final = "mirror"  # sets of runs of equal N_avg and tokens whose N(t) falls, rises or is constant
GROWTH: Final = "growth"  # models that surgery makes larger, at one N(t), and their controls
RUNS: Final = "runs"  # single runs besides the studies
