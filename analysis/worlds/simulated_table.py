"""python -m analysis simulate: a table drawn from a known law, with which fits, intervals and verdicts can be compared."""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from analysis.laws.law import Array, Columns, Law
from analysis.laws.registry import P2, RIVALS
from analysis.tables import table
from analysis.worlds import simulated_post_training, simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from repro import paths
from repro.errors import UserError
from repro.store.folder import Folder

NO_FOLDER = (".json", ".jsonl", ".ndjson", ".tsv", ".txt", ".gz", ".bz2", ".xz", ".xlsx", ".xls")  # endings of files
MANY = 3  # factors beside size and tokens of which a design holds every combination

SIZES = ("N", "N0", "N1", "N_avg", "N_final", "N_prunable")

# Truths to draw from where nothing published stands in parameters and tokens; they suit tiny models too.
_COUNT = {"E": 1.5, "A": 40.0, "alpha": 0.35, "B": 250.0, "beta": 0.4}
TRUTHS: Mapping[str, Mapping[str, float]] = MappingProxyType({
    "N_avg": _COUNT,
    "N_final": _COUNT,
    "N_dense": _COUNT,
    "N_effective": _COUNT | {"w": 0.6},
    "sparse": {"c": 1.5, "a_S": 8.0, "b_S": 0.7, "c_S": 20.0, "b_N": 0.3, "a_D": 250.0, "b_D": 0.4},
    "post_training_pruning": {"E": 2.0, "N_C": 60.0, "D_C": 300.0, "gamma": -1.0, "delta": 0.1, "alpha": 0.25, "beta": 0.3},
    "post_training_nested": {"E": 2.0, "D_C": 300.0, "gamma": -1.0, "delta": 0.1, "beta": 0.3},
    "N_after": _COUNT,
    "log_compute": {"a": 9.0, "b": -0.14},
    "accuracy": {"floor": 0.25, "rise": 0.6, "k": 4.0, "middle": 2.2},
})  # fmt: skip
_RANGES: Mapping[str, tuple[float, ...]] = MappingProxyType({
    "size": tuple(np.geomspace(3e7, 3e9, 4)),
    "size alone": tuple(np.geomspace(3e7, 3e9, 16)),
    "tokens a parameter": (8.0, 20.0, 60.0, 150.0),
    "S": (0.0, 0.3, 0.55, 0.8),
    "rho": (0.15, 0.3, 0.5),
    "P_w": (3.0, 5.0, 12.0),
    "P_a": (3.0, 5.0, 12.0),
    "P_kv": (2.0, 3.0, 8.0),
    "P_post": (3.0, 4.0, 6.0),
    "epochs": (0.5, 1.0, 4.0, 15.0, 60.0),
    "experts": (1.0, 2.0, 4.0, 8.0, 32.0, 128.0, 512.0),
    "L": tuple(np.geomspace(1.6, 5.0, 24)),
})  # fmt: skip
_OWN = ("S", "rho", "P_w", "P_a", "P_kv", "P_post", "experts", "L")  # columns whose values are those of their range
_OF_TOKENS = frozenset({"D", "C", "U", "L0"})
COLUMNS = frozenset({*SIZES, *_OF_TOKENS, *_OWN})  # that a design has


def truth(law: Law, **changed: float) -> Array:
    """Parameters (P,) to draw from: the law's own published ones or TRUTHS, with those in `changed`.

    Raises:
        UserError: a parameter that the law hasn't got, one without a value, or a value that it can't have.
    """
    known = TRUTHS.get(law.name) or next(iter(law.published.values()), {})
    for name in changed:
        if name not in law.names:
            raise UserError("no such parameter", key=f"parameters.{name}", found=name, expected=", ".join(law.names))
    theta = {**known, **changed}
    for parameter in law.parameters:
        if parameter.name not in theta:
            raise UserError(
                "a parameter without a value", key=f"--parameters {parameter.name}", found=", ".join(theta) or "none",
                expected=f"{parameter.name}=NUMBER",
            )  # fmt: skip
        value, high = theta[parameter.name], math.inf if parameter.high is None else parameter.high
        if not (math.isfinite(value) and parameter.low <= value <= high):
            raise UserError(
                "a parameter out of range", key=f"--parameters {parameter.name}", found=value,
                expected=f"{parameter.low:g} to {high:g}",
            )  # fmt: skip
    return np.array([theta[name] for name in law.names], dtype=float)


def design(law: Law) -> dict[str, Array]:
    """Columns (n,) of every size with the other values: a table that identifies each parameter of the law."""
    size = next((c for c in law.columns if c in SIZES), None)
    others = [c for c in law.columns if c in _OWN]
    ranges = [*(["epochs"] if "U" in law.columns else []), *others]
    if not _OF_TOKENS.isdisjoint(law.columns) or (size is None and "L" not in others):
        ranges = ["size", "tokens a parameter", *ranges]
    elif size is not None:
        ranges = ["size alone", *ranges]
    axes = {name.removesuffix(" alone"): _RANGES[name] for name in ranges}
    if law.name == "N_effective":
        axes["density"] = (1.0, 0.6, 0.3)
    rows = np.array(list(itertools.product(*axes.values())))
    if len(others) > MANY:
        # A regular fraction of the factorial: with three levels each, any two factors still meet at every pair of levels.
        levels = np.array(list(itertools.product(*(range(len(_RANGES[c])) for c in others))))
        rows = rows[np.tile(levels.sum(1) % 3 == 0, len(rows) // len(levels))]
    held = dict(zip(axes, rows.T, strict=True))
    columns = {c: held[c] for c in others}
    if "size" in held:
        columns[size or "N"] = held["size"]
    if "tokens a parameter" in held:
        tokens = held["size"] * held["tokens a parameter"]
        columns |= {"D": tokens, "C": 6 * held["size"] * tokens, "L0": 1.7 + 400 * held["size"] ** -0.34}
        columns["U"] = tokens / held.get("epochs", 1.0)
    if law.name == "N_effective":
        columns["N_prunable"] = held["size"] / held["density"]
    return {name: columns[name] for name in law.columns}


def losses(law: Law, theta: Array, columns: Columns, noise: float, rng: np.random.Generator, tables: int = 1) -> Array:
    """Losses (tables, n): what the law says, and noise of standard deviation `noise` in nats, or in its other unit."""
    centre = law.predict(theta, columns)
    return centre * np.exp(rng.standard_normal((tables, len(centre))) * noise / centre)


def main(given: argparse.Namespace, law: Law) -> int:
    """Draws and writes. Returns the exit code."""
    if not 0 <= given.sigma < math.inf:
        raise UserError("noise out of range", key="--sigma", found=given.sigma, expected="0 or more nats")
    if given.seed < 0:
        raise UserError("seed out of range", key="--seed", found=given.seed, expected="0 or more")
    theta = truth(law, **numbers(given.parameters))
    path = Path(given.out if "://" in given.out else paths.expand(given.out))
    ending = path.suffix.lower()
    writers: dict[str, Callable[[pa.Table, str], None]] = {
        ".csv": pa.csv.write_csv,
        ".parquet": pa.parquet.write_table,
    }
    if ending in writers and "://" in given.out:
        raise UserError("a table can only be written on this machine", file=given.out, expected="a path")
    if ending in writers:
        columns, rng = design(law), np.random.default_rng(given.seed)
        count = len(next(iter(columns.values())))
        chosen = np.arange(count)
        if given.rows is not None:
            if not len(theta) < given.rows <= count:
                raise UserError(
                    "rows out of range", key="--rows", found=given.rows, expected=f"{len(theta) + 1} to {count}"
                )
            chosen = np.sort(rng.choice(count, given.rows, replace=False))
        columns = {name: values[chosen] for name, values in columns.items()}
        with np.errstate(over="ignore", invalid="ignore"):
            drawn = losses(law, theta, columns, given.sigma, rng)[0]
        if not (np.isfinite(drawn).all() and (drawn > 0).all()):
            raise UserError(
                "losses that no table can hold", key="--sigma", found=f"{given.sigma:g} nats and these parameters",
                expected="less noise, or parameters of losses that are positive numbers",
            )  # fmt: skip
        _refuse_others(str(path), law)
        path.parent.mkdir(parents=True, exist_ok=True)
        writers[ending](pa.table({**columns, "loss": drawn}), str(path))
        what = "losses" if law.unit == Law.unit else law.unit
        print(f"{given.out}: {len(drawn)} rows, {what} {drawn.min():.4f} to {drawn.max():.4f}")
    elif ending in NO_FOLDER:
        raise UserError(
            "a table of unknown kind", file=given.out, found=ending, expected=".csv or .parquet, or a folder"
        )
    else:
        if given.rows is not None:
            raise UserError(
                "--rows, but a sweep always has all its rows",
                key="--rows",
                found=given.rows,
                expected="OUT.csv with it",
            )
        if law not in (*RIVALS, P2):
            raise UserError(
                "a sweep can't be drawn from this law", key="--law", found=law.name,
                expected=", ".join(rival.name for rival in (*RIVALS, P2)) + "; or OUT ending in .csv or .parquet",
            )  # fmt: skip
        folder = Folder.open(given.out)
        kept = folder.read_json("sweep.json") if folder.exists("sweep.json") else {}
        if (kept or folder.exists("runs.parquet")) and kept.get("corpus") != simulated_sweep.CORPUS:
            raise UserError(
                "the folder holds a real sweep", file=given.out, found=f"the results of {kept.get('name', 'a sweep')}",
                expected="a new folder, or one that was drawn before",
            )  # fmt: skip
        if law is P2:
            count = _pruned(folder, numbers(given.parameters), given.sigma, given.seed)
        else:
            rows = simulated_sweep.simulate(Truth(law, tuple(theta), given.sigma), seed=given.seed)
            simulated_sweep.write(folder, rows)
            count = len(rows)
        print(f"{given.out}: {count} runs; python -m analysis report {given.out} judges them")
    said = ", ".join(f"{name} {value:g}" for name, value in zip(law.names, theta, strict=True))
    if law is P2 and ending not in writers:
        said = f"{given.parameters or 'its usual parameters'}, the others those of each method"
    print(f"truth: {law.name} with {said}; noise {given.sigma:g} {law.unit}, seed {given.seed}")
    return 0


def _pruned(folder: Folder, changed: Mapping[str, float], noise: float, seed: int) -> int:
    """Leaves a study of training after pruning in a folder, of P2 with other parameters in `changed`; returns how many runs."""
    theta = {
        method: tuple(changed.get(name, value) for name, value in zip(P2.names, own, strict=True))
        for method, own in simulated_post_training.THETA.items()
    }
    found = simulated_post_training.simulate(level=noise, point=noise / 3, seed=seed, theta=theta)
    simulated_post_training.write(folder, found)
    return len(found.runs)


def _refuse_others(file: str, law: Law) -> None:
    """Raises UserError for a file that is there and wasn't drawn from this law: each of its rows is one of the design."""
    if not Path(file).exists():
        return
    try:
        there = table.read(file, [law])
        known = design(law)
        rows = {tuple(row) for row in np.round(np.log10(np.stack([known[c] + (c == "S") for c in law.columns], 1)), 6)}
        own = np.round(np.log10(np.stack([there.columns[c] + (c == "S") for c in law.columns], 1)), 6)
        if {tuple(row) for row in own} <= rows:
            return
    except UserError:
        pass
    raise UserError(
        "the file exists already, and wasn't simulated", file=file, expected="a new file, or one that was drawn before"
    )


def numbers(text: str) -> dict[str, float]:
    """The parameters that NAME=NUMBER,… changes. Raises UserError on what isn't one, or stands there twice."""
    found = {}
    for pair in filter(None, text.split(",")):
        name, _, value = pair.partition("=")
        if name.strip() in found:
            raise UserError(
                "a parameter given twice", key=f"--parameters {name.strip()}", found=text, expected="one value"
            )
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise UserError(
                "not a number", key=f"--parameters {name}", found=value or "nothing", expected="NAME=NUMBER"
            ) from None
    return found
