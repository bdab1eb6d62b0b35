"""Doubts about a table as a whole: a loss of another kind, and rows that are checkpoints of one run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from analysis.laws.law import Array
from analysis.tables import cells
from repro.errors import UserError

LARGEST_LOSS = 12.5  # nats: what guessing among 268,000 tokens loses
RUN = ("run", "run_id", "run_name", "runid", "runname", "name", "id", "experiment", "exp", "trial", "job")
STEP = ("step", "_step", "global_step", "iteration", "iter", "checkpoint", "ckpt", "epoch")
RECIPE = (
    "lr", "learning_rate", "batch", "batch_size", "batch_tokens", "seed", "weight_decay", "wd", "warmup", "optimizer",
    "total_steps", "max_steps", "num_steps", "schedule", "dataset", "vocab", "sequence",
)  # fmt: skip
LIFE = {"N_avg": "N_avg_life", "D": "D_life"}  # by the column of a run's own, that of its whole life
MANY = 8  # budgets of one size: nobody trains so many, each by itself


def refuse_other_losses(held: str, source: str) -> None:
    """Raises UserError for a column that by its name is no loss in which a law can be fitted."""
    name = held.lower()
    if re.search(r"(^|[^a-z])ppl([^a-z]|$)|perplexity", name):
        raise UserError(
            "perplexity is not a loss", file=source, key="--columns loss", found=held,
            expected="nats a token, which is the natural logarithm of a perplexity by token",
        )  # fmt: skip
    if re.search(r"(^|[^a-z])acc([^a-z]|$)|accuracy", name):
        raise UserError(
            "an accuracy is not a loss", file=source, key="--columns loss", found=held, expected="nats a token"
        )


def of_loss(held: str, loss: Array, source: str) -> list[str]:
    """Doubts about the unit of a loss.

    Raises:
        UserError: most rows have a loss that no model of text has, in nats per token.
    """
    if np.median(loss) > LARGEST_LOSS:
        raise UserError(
            "too high for a loss in nats a token", file=source, key=held,
            found=f"{loss.min():.6g} to {loss.max():.6g}",
            expected=f"at most {LARGEST_LOSS:g}, which is guessing; of a perplexity, its natural logarithm",
        )  # fmt: skip
    found = []
    if re.search(r"(^|[^a-z])(bpb|bpc|bits)([^a-z]|$)|bits_?per|bits/", held.lower()):
        found.append(
            f"{held} is in bits by its name: so are E and every prediction, and --sigma; nats are bits times 0.693"
        )
    if (high := int((loss > LARGEST_LOSS).sum())) > 0:
        found.append(
            f"{high} of {len(loss)} losses are over {LARGEST_LOSS:g} nats, which is worse than guessing: is {held} "
            f"a perplexity, or did these runs diverge? --exclude '{held}>{LARGEST_LOSS:g}'"
        )
    return found


def of_started(columns: Mapping[str, str], cells_of: Callable[[str], Sequence[Any]], there: Sequence[str]) -> list[str]:
    """Doubts about runs that started from other weights, where a law is fitted to a run's own N_avg or D.

    Args:
        columns: of the table, by the law's names.
        cells_of: the cells of a column in the rows that are fitted.
        there: all columns of the table.
    """
    own = {law: name for law, name in columns.items() if name in LIFE}
    marks = [cells_of(name) for name in ("parent", "start_sha256") if name in there]
    started = sum(any(cell not in (None, "") and cell == cell for cell in row) for row in zip(*marks, strict=True))
    if not (own and started):
        return []
    whole = ",".join(f"{law}={LIFE[name]}" for law, name in own.items())
    return [
        f"{started} rows started from the weights of another run or model, and {' and '.join(own.values())} don't count "
        f"their earlier training: --columns {whole} does where the earlier run is known; --exclude 'parent_step>0' "
        "leaves out the rows that started from a run"
    ]


def checkpoint_groups(columns: Mapping[str, Array], recipe: Sequence[Sequence[Any]] = ()) -> list[np.ndarray]:
    """Positions of rows that agree in all but D, by growing D, where at least three do and they are half of the rows."""
    if "D" not in columns:
        return []
    other = [values for name, values in columns.items() if name not in ("D", "C")]
    keys = list(zip(*other, *recipe, strict=True))
    members: dict[Any, list[int]] = {}
    for i, key in enumerate(keys):
        members.setdefault(key, []).append(i)
    data = columns["D"]
    groups = [np.array(sorted(own, key=lambda i: float(data[i]))) for own in members.values()]
    groups = [own for own in groups if len(np.unique(data[own])) >= 3]
    return groups if sum(map(len, groups)) >= len(data) / 2 else []


def of_checkpoints(
    columns: Mapping[str, Array],
    names: Sequence[str],
    cells_of: Callable[[str], list[Any]],
    held: Mapping[str, str],
    residual: Array | None = None,
) -> list[str]:
    """Whether rows look like checkpoints of one run: equal in size and settings, with growing D.

    A grid of sizes and budgets looks like that too. What tells them apart: a column that names runs, one that counts
    steps, tokens at even distances, very many of one size, or residuals that go together.

    Args:
        columns: of the law, each (n,).
        names: of all columns of the file. cells_of: the cells (n,) of one.
        held: names in the file by the law's names.
        residual: of a fit, (n,).
    """
    simple = {name.lower().split(".")[-1].strip(): name for name in reversed(names)}
    recipe = [list(map(str, cells_of(simple[name]))) for name in RECIPE if name in simple]
    groups = checkpoint_groups(columns, recipe)
    if not groups:
        return []
    rows, data = sum(map(len, groups)), columns["D"]
    size = next((name for name in columns if name.startswith("N")), "D")
    why, label = None, held.get(size, size)
    for name in (simple[run] for run in RUN if run in simple):
        runs = cells_of(name)
        shared = Counter(map(str, runs))
        if sum(shared[str(run)] > 1 for run in runs) >= len(runs) / 2 and len(shared) > 1:
            why, label = f"column {name!r} names one run for several", name
            break
    if why is None and any(_grows(cells_of(simple[step]), groups) for step in STEP if step in simple):
        why = "a column counts their steps"
    if why is None and rows >= MANY * len(groups):
        why = f"{rows / len(groups):.0f} of a size"
    if why is None and all(len(own) >= 4 and _even(data[own]) for own in groups):
        why = "at even distances"
    if why is None and residual is not None:
        near = _correlation(groups, residual)
        if near is not None and near[0] > max(0.5, 2.5 / np.sqrt(near[1])):
            why = f"residuals of neighbouring rows are correlated, r = {near[0]:.2f}"
    if why is None:
        return []
    return [
        f"{rows} of {len(data)} rows have equal {size} and settings with growing D ({why}): if they are checkpoints of one "
        "run, their errors are correlated, and intervals that treat rows as independent are far too narrow; "
        f"--clusters {label!r} draws them together"
    ]


def _grows(steps: Sequence[Any], groups: Sequence[np.ndarray]) -> bool:
    try:
        found = np.array([cells.number(step, "count") for step in steps])
    except cells.NoNumber:
        return False
    return all(bool(np.all(np.diff(found[own]) > 0)) for own in groups)


def _even(data: Array) -> bool:
    steps = np.diff(np.unique(data))
    return bool(steps.max() < 1.05 * steps.min())


def _correlation(groups: Sequence[np.ndarray], residual: Array) -> tuple[float, int] | None:
    """Correlation of the residuals of rows next to each other, and how many pairs there are."""
    if np.abs(residual).max() < 1e-8:
        return None  # the law itself, without noise
    pairs = np.array([(residual[i], residual[j]) for own in groups for i, j in pairwise(own)])
    norm = np.sqrt((pairs[:, 0] ** 2).sum() * (pairs[:, 1] ** 2).sum())
    return (float((pairs[:, 0] * pairs[:, 1]).sum() / norm), len(pairs)) if norm > 0 else None
