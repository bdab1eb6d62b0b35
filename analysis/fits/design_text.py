"""Proposed next runs as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def lines(shown: Mapping[str, Any], unit: str) -> list[str]:
    """A design of a law in a unit; `shown` is what `design --json` prints of it."""
    at = _named(shown["target"]).replace("  ", ", ")
    low, high = shown["interval"]
    found = [
        f"{shown['law']} at {at}: {shown['loss']:.4f}, 95% [{low:.4f}, {high:.4f}], {shown['width']:.4f} {unit} wide",
        f"  {shown['n_rows']} rows of {shown['source']}; σ of a run {shown['sigma']:.4g} {unit} ({shown['sigma_from']})",
        "one more run, by its price:",
        *(f"  {_told(plan, shown['width'], unit)}   {_named(plan['runs'][0])}" for plan in shown["by_price"]),
        f"runs that cost {shown['budget']:.4g} together at most:",
    ]
    for count, plan in enumerate(shown["plans"], start=1):
        mark = "   narrowest" if count == shown["best"] and len(shown["plans"]) > 1 else ""
        found.append(f"  {_told(plan, shown['width'], unit)}   {count} run{'s' if count > 1 else ''}{mark}")
        found += [f"      {run['price']:>10.3g}   {_named(run)}" for run in plan["runs"]]
    return found


def _told(plan: Mapping[str, Any], width: float, unit: str) -> str:
    return f"price {plan['price']:>9.3g}: {plan['width']:.4f} {unit} wide, {1 - plan['width'] / width:>4.0%} less"


def _named(run: Mapping[str, Any]) -> str:
    told = {name: value if isinstance(value, str) else f"{value:.3g}" for name, value in run.items() if name != "price"}
    return "  ".join(f"{name} = {value}" for name, value in told.items())
