"""Fixtures: sweep files that lie outside the checkout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

COMMON = """
name: {name}
corpus: {{source: package, name: pydoc, heldout_fraction: 0.1}}
model: {{vocab: 300, sequence: 32, layers: 1, heads: 1}}
optimizer: {{batch: 4}}
pruning: {{interval: 4}}
evaluation: {{blocks: 4, block_sequences: 2}}
sizes:
  4k: {{d_model: 8, mlp: 32, lr: 1.0e-2}}
  6k: {{d_model: 8, mlp: 64, lr: 1.0e-2}}
"""
SWEEPS = {
    "tiny": """
budgets: {short: 2}
studies: {law: {sizes: [4k], budgets: [short], sparsities: [0, 0.8]}}
resources: {device: cpu, lanes: 1, checkpoint_every: 20}
""",
    # So long that it is stopped, never done.
    "longer": """
budgets: {short: 6000}
repeat: true
studies: {law: {sizes: [4k], budgets: [short], sparsities: [0]}}
resources: {device: cpu, checkpoint_every: 100}
""",
    # Nine runs of one worker and three of two.
    "twelve": """
budgets: {short: 20}
studies:
  law: {sizes: [4k, 6k], budgets: [short], sparsities: [0, 0.4, 0.8]}
  schedules: {size: 4k, budgets: [short], dense: [0.25, 0.5], prune: [0.25, 0.5], sparsities: [0.4, 0.8]}
resources: {device: cpu, lanes: 2, checkpoint_every: 50, workers_by_size: {6k: 2}}
""",
}


@pytest.fixture
def declare(tmp_path: Path) -> Callable[[str], Path]:
    """Writes one of SWEEPS to a file."""

    def write(name: str) -> Path:
        file = tmp_path / f"{name}.yaml"
        file.write_text(COMMON.format(name=name) + SWEEPS[name])
        return file

    return write
