"""A tiny sweep, declared, driven in a process of its own, and what it leaves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]

SWEEP = """
name: tiny
corpus: {{source: package, name: pydoc, heldout_fraction: 0.1}}
model: {{vocab: 300, sequence: 32, layers: 1, heads: 1}}
optimizer: {{batch: 4}}
sizes: {{4k: {{d_model: 8, mlp: 32, lr: 1.0e-2}}}}
budgets: {{short: {ratio}}}
pruning: {{interval: 4}}
partners: {{mlp_multiple: 1}}
evaluation: {{blocks: 4, block_sequences: 2}}
studies:
  law: {{sizes: [4k], budgets: [short], sparsities: [0, 0.8]}}
  schedules: {{size: 4k, budgets: [short], dense: [0.25, 0.5], prune: [0.5], sparsities: [0.6, 0.8]}}
resources: {{device: cpu, workers: {workers}, checkpoint_every: 20}}
storage: {{corpus: {root}/data, results: {root}/results}}
"""
IDS = [
    "4k-short-s00-seed0",
    "4k-short-s60-d25-p50-seed0",
    "4k-short-s60-d50-p50-seed0",
    "4k-short-s80-d25-p50-seed0",
    "4k-short-s80-d50-p50-seed0",
]


def declare(root: Path, *, ratio: float = 2, workers: int = 1) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    file = root / "tiny.yaml"
    file.write_text(SWEEP.format(root=root, ratio=ratio, workers=workers))
    return file


def start(file: Path, *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "sweeps", "run", str(file), *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(file: Path, *words: str) -> tuple[int, str]:
    process = start(file, *words)
    out, _ = process.communicate(timeout=600)
    return process.returncode, out


def losses(root: Path) -> dict[str, list[float]]:
    rows = pq.read_table(root / "results" / "tiny" / "runs.parquet").to_pylist()
    return {row["run_id"]: row["loss_blocks"] for row in rows}
