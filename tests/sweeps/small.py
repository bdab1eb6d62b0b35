"""A small sweep file whose blocks can be replaced."""

from __future__ import annotations

from pathlib import Path

import yaml

TINY = """
name: tiny
corpus: {source: package, name: botocore, unique_tokens: 1000000}
model: {vocab: 288, sequence: 64, layers: 2, heads: 1}
optimizer: {batch: 8}
sizes: {4k: {d_model: 8, mlp: 32, lr: 0.01}, 13k: {d_model: 16, mlp: 64, lr: 0.01}}
budgets: {10tpp: 10, 20tpp: 20}
pruning: {interval: 4}
partners: {mlp_multiple: 1}
studies:
  law: {sizes: [4k], budgets: [10tpp], sparsities: [0, 0.8]}
"""


def write(folder: Path, **blocks: str | None) -> Path:
    """Writes TINY with top-level blocks replaced, or removed by None; a block is YAML text."""
    data = yaml.safe_load(TINY) | {
        name: block if block is None else yaml.safe_load(block) for name, block in blocks.items()
    }
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump({name: block for name, block in data.items() if block is not None}))
    return file
