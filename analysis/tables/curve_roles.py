"""The role of each curve of training after pruning: one that is judged, or one of the controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from analysis.tables.data import Runs
from repro import studies

# What a curve is for: `pruned` ones are fitted and judged; a `control` lost nothing, `random` ones have a random criterion,
# `decayed` ones end at a lower learning rate, `tried` ones have another one than most of their size, and `aged` ones come
# from parents of another age than most of their size.
Role = Literal["pruned", "control", "random", "decayed", "tried", "aged", "other"]

RANDOM = "random"  # how names of random criteria begin
STILL = 0.02  # share of the steps that a decay may take of a learning rate that is called constant
SAME = 0.05  # relative, within which two parents have seen equally many tokens, and two learning rates are one


def method_of(run: dict[str, Any]) -> str:
    """A method's name, with N:M where that is its structure."""
    return f"{run['surgery']} N:M" if ":" in (run["surgery_structure"] or "") else str(run["surgery"])


def roles_of(runs: Runs) -> tuple[list[Role], list[int]]:
    """What each run is for, and the place of its realised rate among those of its size and method."""
    rows = list(runs.rows())
    ages, rates = (
        {size: _commonest(key, rows, size) for size in {row["N_total_before"] for row in rows}}
        for key in (_age, lambda row: row["lr"])
    )
    roles: list[Role] = []
    for row in rows:
        size, apart = row["N_total_before"], _apart(row)
        if apart in ("decayed", "other"):
            roles.append(apart)
        elif abs(row["lr"] - rates[size]) > SAME * rates[size]:
            roles.append("tried")
        elif abs(_age(row) - ages[size]) > SAME * ages[size]:
            roles.append("other" if apart else "aged")
        else:
            roles.append(apart or "pruned")
    known: dict[tuple[float, str], set[float]] = {}
    for row in rows:
        if row["rho"] > 0:
            known.setdefault(_cell(row), set()).add(_rate(row))
    ranks = [sorted(known[_cell(row)]).index(_rate(row)) if row["rho"] > 0 else -1 for row in rows]
    return roles, ranks


def _commonest(key: Callable[[dict[str, Any]], float], rows: list[dict[str, Any]], size: float) -> float:
    """What most of a size's pruned runs have; the larger of two that are as common."""
    count = Counter(key(row) for row in rows if row["N_total_before"] == size and not _apart(row))
    return max(count, key=lambda value: (count[value], value)) if count else np.nan


def _age(run: dict[str, Any]) -> float:
    """Tokens that the parent had seen."""
    return float(run["D_life"] - run["D"])


def _cell(run: dict[str, Any]) -> tuple[float, str]:
    return run["N_total_before"], method_of(run)


def _rate(run: dict[str, Any]) -> float:
    return round(float(run["rho"]), 4)


def _apart(run: dict[str, Any]) -> Role | None:
    """The role of a run that no claim is judged on by itself; None of the others."""
    if not constant(run):
        return "decayed"
    if not run["rho"] > 0:
        return "control"
    if run["surgery"].startswith(RANDOM):
        return "random"
    return "other" if studies.CONTROLS in run["studies"] else None


def constant(run: dict[str, Any]) -> bool:
    """Whether the learning rate stays at its peak after the warm-up."""
    return bool(
        run["final_lr"] == 1 or (run["lr_schedule"] == "wsd" and decay_steps(run) <= max(1, STILL * run["total_steps"]))
    )


def decay_steps(run: dict[str, Any]) -> float:
    """Steps of the decay of a run whose learning rate is wsd."""
    return float(run["decay"] * run["total_steps"] if run["decay"] < 1 else run["decay"])


def at_peak(run: dict[str, Any]) -> tuple[float, float]:
    """Tokens after which, and up to which, the learning rate of a run is at its peak; of one that never stays there, none are."""
    steps = run["total_steps"]
    if run["lr_schedule"] != "wsd" and run["final_lr"] != 1:
        return np.inf, -np.inf
    last = steps if constant(run) else steps - decay_steps(run)
    return warm_up(run), last * run["batch_tokens"]


def warm_up(run: dict[str, Any]) -> float:
    """Tokens of the warm-up of a run's learning rate."""
    steps = run["warmup"] * run["total_steps"] if run["warmup"] < 1 else run["warmup"]
    return float(int(steps) * run["batch_tokens"])
