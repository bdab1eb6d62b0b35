"""How a sweep's tables were made, and in which regime: text, sizes, tokens per parameter, pruning events; and how far that is from the paper's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from analysis.shown import plain
from analysis.tables.data import Runs, Tables
from repro import studies

PAPER_TOKENS_PER_PARAM = (206, 396)
PAPER_SIZES = (58e6, 468e6)


def made(tables: Tables) -> Iterator[tuple[str, str]]:
    """Terms and what is to be said of each, for the report and the card of the figures' tables."""
    sweep = tables.sweep
    for key, term in (("file", "sweep file"), ("commit", "commit"), ("created", "made")):
        if sweep.get(key):
            yield term, str(sweep[key])
    if sweep.get("seconds"):
        yield "wall time of the sweep", f"{sweep['seconds'] / 60:.1f} minutes"
    yield "training time, summed", f"{np.nansum(tables.all_runs['seconds']) / 60:.1f} minutes"
    hardware = {k: v for k, v in (sweep.get("hardware") or {}).items() if v}
    if hardware:
        parts = (f"{key.replace('memory_gib', 'memory, GiB')}: {plain(value)}" for key, value in hardware.items())
        yield "hardware", ", ".join(parts)
    versions = ({"python": sweep["python"]} if sweep.get("python") else {}) | (sweep.get("versions") or {})
    if versions:
        yield "versions", ", ".join(f"{package} {version}" for package, version in versions.items())
    yield "device", ", ".join(sorted({str(d) for d in tables.all_runs["device"] if d}))
    yield (
        "fits",
        "Huber loss (1e-3) of log residuals, summed, from a grid of starts; intervals by parametric bootstrap with the seeds' noise",
    )


def regime(tables: Tables) -> Iterator[tuple[str, str]]:
    """The same of the regime."""
    runs = tables.runs
    base = tables.selected(lambda r: r.serves(studies.LAW, studies.SCHEDULES))
    base = base if len(base) else runs
    if not len(base):
        yield "runs", "none that can be used"
        return
    yield "corpus", ", ".join(_corpus(tables))
    yield "sizes", "; ".join(_sizes(base))
    yield "tokens per prunable parameter", "; ".join(_budgets(base))
    ratio = base["dense_tokens"] / base["N_prunable"]
    yield (
        "the paper's",
        f"C4, {PAPER_SIZES[0] / 1e6:.0f}M to {PAPER_SIZES[1] / 1e6:.0f}M parameters at {PAPER_TOKENS_PER_PARAM[0]} to "
        f"{PAPER_TOKENS_PER_PARAM[1]} tokens per prunable parameter (these two are derived, not stated by the paper)",
    )
    smaller = PAPER_SIZES[0] / base["N_total"].max(), PAPER_SIZES[1] / base["N_total"].min()
    fewer = PAPER_TOKENS_PER_PARAM[0] / ratio.max(), PAPER_TOKENS_PER_PARAM[1] / ratio.min()
    yield (
        "how far from it",
        f"models {_times(smaller[0])} to {_times(smaller[1])} smaller, trained on {_times(fewer[0])} to {_times(fewer[1])} fewer tokens "
        "per parameter",
    )
    if base.sparse.any():
        events = base["events"][base.sparse]
        yield "pruning events", f"{events.min():.0f} to {events.max():.0f} a run (the paper: about 126)"


def _corpus(tables: Tables) -> Iterator[str]:
    runs, made = tables.runs, tables.sweep.get("corpus")
    yield from sorted({str(c) for c in runs["corpus"]})
    if isinstance(made, Mapping):
        if made.get("licence"):
            yield f"licence {made['licence']}"
        if made.get("unique_tokens"):
            yield f"{plain(made['unique_tokens'])} unique tokens"
        if made.get("overlap_13gram") is not None:
            yield f"{made['overlap_13gram']:.1%} of the held-out 13-grams also in the training text"
    yield f"vocabulary {plain(runs['vocab'].max())}" + _unused(made)
    yield f"at most {np.nanmax(runs['epochs']):.2f} epochs"


def _unused(made: Any) -> str:
    """What is to be said of ids that the training text never uses; nothing where they weren't counted."""
    if not (isinstance(made, Mapping) and made.get("unused_ids")):
        return ""
    idle = "; ".join(f"{share:.1%} of {size}" for size, share in (made.get("unused_share") or {}).items())
    of_weights = (
        f" (as rows of the LM head they are idle prunable weights and count in every N: {idle})" if idle else ""
    )
    return f", of which the training text never uses {plain(made['unused_ids'])}{of_weights}"


def _sizes(runs: Runs) -> Iterator[str]:
    for size in sorted(dict.fromkeys(runs["size"]), key=lambda s: runs["N_prunable"][runs["size"] == s][0]):
        own = runs.where(runs["size"] == size)
        unprunable = 1 - own["N_prunable"][0] / own["N_total"][0]
        yield f"{size}: {plain(own['N_prunable'][0])} prunable of {plain(own['N_total'][0])} ({unprunable:.0%} unprunable)"


def _budgets(runs: Runs) -> Iterator[str]:
    ratio = runs["dense_tokens"] / runs["N_prunable"]
    for budget in sorted(dict.fromkeys(runs["budget"]), key=lambda b: ratio[runs["budget"] == b][0]):
        own = ratio[runs["budget"] == budget]
        spread = f"{own.min():.1f}" if np.ptp(own) < 0.05 * own.min() else f"{own.min():.1f} to {own.max():.1f}"
        yield f"{budget}: {spread} for the dense run"


def _times(ratio: float) -> str:
    return f"{plain(float(f'{ratio:.2g}'))}×"
