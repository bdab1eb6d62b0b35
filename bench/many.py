"""Trivial runs by the hundred through the real driver: seconds a run, memory and state as their number grows.

    python -m bench.many                 200 runs, then 2,000
    python -m bench.many --runs 50 500

Each sweep is `python -m sweeps run` in a process of its own. A run is three steps of a model of 1,152 weights, so that
what is seen is what launching, recording and joining cost. Memory is the resident set, sampled each second: of the
driver, and of the process of Ray that holds most.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench import made_on, parser

ROOT = Path(__file__).resolve().parent.parent
SWEEP = """
name: many
corpus: {{source: package, name: pydoc, heldout_fraction: 0.1}}
model: {{vocab: 300, sequence: 32, layers: 1, heads: 1}}
optimizer: {{batch: 4}}
sizes: {{1k: {{d_model: 8, mlp: 16, lr: 1.0e-2}}}}
budgets: {{three: 0.1}}
evaluation: {{blocks: 2, block_sequences: 1}}
studies: {{seeds: {{seeds: {seeds}, configurations: [{{size: 1k, budget: three}}]}}}}
resources: {{device: cpu}}
storage: {{corpus: {root}/data, results: {root}/results}}
"""


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--runs", type=int, nargs="+", default=[200, 2000], help="runs of each sweep (200 2000)")
    given = options.parse_args()
    print(made_on())
    print(
        f"{'runs':>6} {'seconds':>8} {'ms a run':>9} {'driver MB':>10} {'Ray MB':>7} {'state KB a run':>15} {'sweep.json KB':>14}"
    )
    for count in given.runs:
        print(_measured(count), flush=True)
    return 0


def _measured(count: int) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        file = root / "many.yaml"
        file.write_text(SWEEP.format(root=root, seeds=list(range(count))))
        command = [sys.executable, "-m", "sweeps", "run", str(file)]
        process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        driver = largest = 0
        while process.poll() is None:
            try:
                driver = max(driver, process.memory_info().rss)
                largest = max(largest, *(child.memory_info().rss for child in process.children(recursive=True)), 0)
            except psutil.NoSuchProcess:
                continue
            time.sleep(1)
        if process.returncode:
            raise SystemExit(f"the sweep of {count} runs ended with {process.returncode}")
        place = root / "results" / "many"
        record = json.loads((place / "sweep.json").read_text())
        seconds = record["training"]["seconds"]
        state = sum(p.stat().st_size for p in (place / "runs").rglob("*") if p.is_file())
        return (
            f"{count:>6} {seconds:>8.1f} {1e3 * seconds * record['training']['lanes'] / count:>9.0f} {driver / 1e6:>10.0f} "
            f"{largest / 1e6:>7.0f} {state / count / 1e3:>15.1f} {(place / 'sweep.json').stat().st_size / 1e3:>14.1f}"
        )


if __name__ == "__main__":
    sys.exit(main())
