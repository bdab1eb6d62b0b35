"""Readable run ids: 162m-20x-s80-d25-p50-seed0, then the differences from the sweep's defaults. No torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from repro.schedule import FALLING
from repro.spec import MovesSpec, PruningSpec
from sweeps.points import CHANGEABLE, Window
from sweeps.run_parts import Parts

# The interval comes last: it often follows from another difference.
_TAGS = sorted(
    ((part, field.name, field.metadata["tag"]) for part, fields in CHANGEABLE.items() for field in fields),
    key=lambda one: one[1] == "interval",
)


def differences(own: Parts, usual_parts: Parts) -> str:
    """A run's differences from its sweep's defaults, as the suffix of its id: -lr4e-4-wd0-random."""
    text = ""
    for part, name, tag in _TAGS:
        value, usual = (getattr(getattr(parts, part), name) for parts in (own, usual_parts))
        if value != usual and (name != "interval" or own.pruning.shape in (*FALLING, "constant")):
            text += f"-{tag}{short(value)}"
    return text


def near(wanted: str, known: Iterable[str]) -> str:
    """What is expected in place of an id that is none of the sweep's, with those that look like it."""
    known = list(known)
    like = difflib.get_close_matches(wanted, known, n=3, cutoff=0.4) or known[:1]
    return "an id that `sweeps expand` lists" + (f", such as {', '.join(like)}" if like else "")


def short(value: Any) -> str:
    """A value in an id."""
    if isinstance(value, bool):
        return "" if value else "-no"
    if isinstance(value, MovesSpec):
        return f"{value.every}x{value.share:g}-{value.decay}-{value.until:g}-{value.return_}"
    if isinstance(value, tuple):
        return (
            "+".join(v if isinstance(v, str) else "x".join(f"{number:.12g}" for number in v) for v in value) or "none"
        )
    if isinstance(value, float):
        mantissa, exponent = f"{value:.5e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}" if 0 < value < 0.1 else f"{value:g}"
    return "static" if value == "constant" else str(value).replace(":", "of")


def timing_of(pruning: PruningSpec) -> str:
    """The window of a run that prunes; empty where it has none."""
    if not (pruning.sparsity and pruning.timed):
        return ""
    return window_text(Window(pruning.start, round(pruning.end - pruning.start, 12)))


def window_text(window: Window) -> str:
    """-d25-p50: dense for 25% of compute, then pruning for 50%."""
    return f"-d{percent(window.dense)}-p{percent(window.prune)}"


def percent(share: float) -> str:
    """A share as two or more digits: 05, 80, 100, 37.5."""
    return f"{100 * share:.4g}".zfill(2)
