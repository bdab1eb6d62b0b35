"""The runs of the paper's studies at several seeds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sweeps.grid import expand
from tests.sweeps.small import write


def test_the_schedules_are_trained_at_every_seed(tmp_path: Path) -> None:
    studies = (
        "{schedules: {size: 4k, budgets: [10tpp], dense: [0, 0.5], prune: [0.5, 1], sparsities: [0.8], seeds: [1, 2]}}"
    )
    runs = expand(write(tmp_path, studies=studies)).of("schedules")
    windows = ((0, 0.5), (0, 1), (0.5, 1))
    assert Counter((run.pruning.start, run.pruning.end, run.seed) for run in runs) == Counter(
        (*window, seed) for window in windows for seed in (1, 2)
    )


def test_robustness_is_trained_at_every_seed(tmp_path: Path) -> None:
    robustness = (
        "size: 4k, budget: 10tpp, sparsities: [0, 0.8], lr_multiples: [1, 4], batch_multiples: [0.5], seeds: [0, 3]"
    )
    runs = expand(write(tmp_path, studies=f"{{robustness: {{{robustness}}}}}")).of("robustness")
    assert Counter((run.pruning.sparsity, run.optimizer.lr, run.optimizer.batch, run.seed) for run in runs) == Counter(
        (sparsity, *setting, seed)
        for sparsity in (0, 0.8)
        for setting in ((0.01, 8), (0.04, 8), (0.01, 4))
        for seed in (0, 3)
    )
