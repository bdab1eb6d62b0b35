"""Whether a change of the code has changed a number: what a checkout computes, recorded, and two records compared.

    python tests/equality.py record before.json   # in the checkout as it was
    python tests/equality.py record after.json    # in the changed one, on the same machine
    python tests/equality.py compare before.json after.json

Recorded are, of every committed sweep, all that `sweeps expand --json` says of each run, fingerprints included; and, of
the runs of quick.yaml and of some of laptop.yaml that cover all its studies, all that is measured but times. It uses
commands and tables alone, so that it can judge a checkout whose modules have other names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

# At least one run of every study, each of laptop.yaml.
LAPTOP = """
extends: {file}
name: equality
studies:
  schedules: {{size: 45k, budgets: [short], dense: [0, 0.5], prune: [0.25, 0.5], sparsities: [0.2, 0.8]}}
  law: {{sizes: [9k, 45k, 95k], budgets: [short], sparsities: [0, 0.6]}}
  pairs: {{size: 45k, budgets: [long], sparsities: [0.2, 0.8], match: [prunable, total]}}
  robustness:
    {{size: 45k, budget: short, sparsities: [0, 0.8], lr_multiples: [0.25, 1, 4], batch_multiples: [0.25, 1, 4]}}
  iso_average:
    points:
      - {{size: 45k, budget: long, sparsity: 0.4, window: {{dense: 0, prune: 1}}}}
      - {{size: 45k, budget: long, sparsity: 0.8, window: {{dense: 0.75, prune: 0.25}}}}
  dense: {{sizes: [9k], budgets: {{shortest: 35, longest: 280}}}}
  own_rates: {{multiples: {{0.2: 1, 0.6: 1, 0.8: 1.5}}}}
  seeds:
    seeds: [1]
    configurations: [{{size: 45k, budget: long}}]
    pairs: [{{size: 45k, budgets: [long], sparsities: [0.8], seeds: [1]}}]
  controls:
    size: 45k
    budget: short
    sparsities: [0.8]
    variants:
      - {{weight_decay: 0, sparsities: [0]}}
      - {{init: fan_in, sparsities: [0, 0.8]}}
      - {{score: random}}
      - {{distribution: uniform}}
      - {{shape: constant}}
      - {{do_not_prune: [lm_head], sparsities: [0.4]}}
      - {{events: 8}}
      - {{events: 32}}
"""
TIMES = ("seconds", "seconds_setup", "tokens_per_second", "mfu", "peak_memory", "ms", "sweep", "run_id")
WINDOW = ("start", "end", "start_step", "end_step", "interval")


def sweeps(*arguments: str) -> str:
    """Standard output of `python -m sweeps` in this checkout."""
    return subprocess.run(
        [sys.executable, "-m", "sweeps", *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def expanded(file: Path) -> dict[str, dict[str, Any]]:
    """What the plan says of each run of a sweep file, by run id."""
    return {row["run_id"]: row for row in map(json.loads, sweeps("expand", str(file), "--json").splitlines())}


def trained(file: Path, results: Path) -> dict[str, dict[str, Any]]:
    """What was measured of each run of a sweep file, by fingerprint: its row, and hashes of its curve and its layers."""
    sweeps("run", str(file), "--results", str(results))
    (place,) = results.iterdir()
    found = {}
    for row in pq.read_table(place / "runs.parquet").to_pylist():
        numbers = {key: value for key, value in row.items() if key not in (*TIMES, "studies")}
        for table in ("curve", "layers"):
            rows = pq.read_table(place / "runs" / row["run_id"] / f"{table}.parquet").to_pylist()
            kept = [{key: value for key, value in one.items() if key not in TIMES} for one in rows]
            numbers[table] = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
        found[row["fingerprint"]] = numbers
    return found


def record() -> dict[str, Any]:
    """All that is compared, of the checkout in the current folder."""
    files = sorted(Path("sweeps").glob("*.yaml"))
    plans = {file.stem: expanded(file) for file in files}
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "equality.yaml"
        part.write_text(LAPTOP.format(file=Path("sweeps/laptop.yaml").resolve()))
        laptop = {row["fingerprint"] for row in plans["laptop"].values()}
        if strangers := {i for i, row in expanded(part).items() if row["fingerprint"] not in laptop}:
            raise SystemExit(f"runs that laptop.yaml doesn't have: {', '.join(sorted(strangers))}")
        runs = trained(Path("sweeps/quick.yaml"), Path(folder) / "quick") | trained(part, Path(folder) / "laptop")
    return {"plans": plans, "runs": runs}


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Lines, SWEEP: RUN: what differs.

    A key that only `after` has is no difference, nor is a dense run's window, which tables of schema version 2 stated.
    """
    found = []
    sides = [record["plans"] | {"trained": record["runs"]} for record in (before, after)]
    for sweep, runs in sides[0].items():
        for run, row in runs.items():
            other = sides[1].get(sweep, {}).get(run)
            if other is None:
                found.append(f"{sweep}: {run} is missing")
                continue
            found += [
                f"{sweep}: {run}: {key}: {value!r} was, {other.get(key)!r} is"
                for key, value in row.items()
                if json.dumps(value) != json.dumps(other.get(key))
                and not (key in WINDOW and row["shape"] == "dense" and other.get(key, 0) is None)
            ]
        found += [f"{sweep}: {run} is new" for run in sides[1].get(sweep, {}) if run not in runs]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Whether a change of the code has changed a number.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("record", help="train, and write what this checkout computes").add_argument("file", type=Path)
    compare = verbs.add_parser("compare", help="list what two records differ in; exit code 1 if anything")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    compare.add_argument(
        "--but", metavar="PATTERN", help="regular expression of `SWEEP: RUN` whose differences are meant"
    )
    given = parser.parse_args()
    if given.verb == "record":
        given.file.write_text(json.dumps(record(), indent=1))
        return 0
    before, after = (json.loads(file.read_text()) for file in (given.before, given.after))
    found = differences(before, after)
    meant = [line for line in found if given.but and re.match(given.but, line)]
    found = [line for line in found if line not in set(meant)]
    if meant:
        runs = {line.split(": ")[1].split(" is ")[0] for line in meant}
        print(f"{len(meant)} differences of {len(runs)} runs are meant: {given.but}")
    print("\n".join(found[:50]))
    plans = sum(map(len, before["plans"].values()))
    print(
        f"{len(before['plans'])} sweeps with {plans} runs, {len(before['runs'])} of them trained: "
        + (f"{len(found)} differences" if found else "equal to the bit")
    )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
