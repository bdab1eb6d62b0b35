"""Fixtures: an S3 endpoint, and a sweep file that lies outside the checkout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SWEEP = """
name: {name}
corpus: {{source: package, name: pydoc, heldout_fraction: 0.1}}
model: {{vocab: 300, sequence: 32, layers: 1, heads: 1}}
optimizer: {{batch: 4}}
sizes: {{4k: {{d_model: 8, mlp: 32, lr: 1.0e-2}}}}
budgets: {{short: {ratio}}}
pruning: {{interval: 4}}
evaluation: {{blocks: 4, block_sequences: 2}}
studies:
  {studies}
resources: {{device: cpu, workers: {workers}, lanes: 1, checkpoint_every: 20}}
"""


@pytest.fixture
def declare(tmp_path: Path) -> Callable[..., Path]:
    """Writes a sweep file: by default two runs of one worker."""

    def write(
        name: str = "tiny",
        *,
        ratio: float = 2,
        workers: int = 1,
        studies: str = "law: {sizes: [4k], budgets: [short], sparsities: [0, 0.8]}",
    ) -> Path:
        file = tmp_path / f"{name}.yaml"
        file.write_text(SWEEP.format(name=name, ratio=ratio, workers=workers, studies=studies))
        return file

    return write
