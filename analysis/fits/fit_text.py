"""A fit as text: the formula, each parameter with its interval and the source of that interval, and the errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.fits import fit_rows, out_of_sample
from analysis.laws.formulas.formula import FormulaLaw
from analysis.laws.law import Law


def lines(law: Law, shown: Mapping[str, Any]) -> list[str]:
    """A fit of `law`; `shown` is what is saved of it."""
    width = max(10, *map(len, shown["parameters"]))
    parameters = [
        f"  {name:>{width}} {value:>14.6g}   {interval_of(name, shown)}" for name, value in shown["parameters"].items()
    ]
    return [*head(law, shown), *parameters, *tail(law, shown)]


def head(law: Law, shown: Mapping[str, Any]) -> list[str]:
    """The law and its rows, and how the solver ended."""
    own = isinstance(law, FormulaLaw) and not law.written.name
    title = f"{'' if own else f'{law.name}: '}{left_side(law)} = {law.formula}"
    return [
        f"{title}   ({shown['n_rows']} rows of {shown['source']}; columns {', '.join(law.columns)})",
        *_given(law),
        *(f"  {text}" for text in fit_rows.said(shown, shown["n_rows"])),
        f"  {shown['status']}, objective {shown['objective']:.8g}, {shown['starts_agreeing']} of {shown['starts']} starts "
        f"agree, condition {shown['condition']:.3g}",
    ]


def left_side(law: Law) -> str:
    """The left side of the formula: the loss L, its logarithm, or another quantity that the law predicts."""
    return "log L" if law.logarithmic else "L" if law.unit == Law.unit else law.unit


def tail(law: Law, shown: Mapping[str, Any]) -> list[str]:
    """The errors of the fit."""
    low, high = shown["loss_range"]
    beside = f", the seeds' σ is {shown['sigma']:.4g}" if shown["sigma"] else ""
    actual, all_of = ("loss", "losses") if law.unit == Law.unit else ("actual", "actual values")
    found = [
        f"  mean |predicted − {actual}| {shown['mean_abs_error']:.5f} {law.unit}, {shown['mean_relative_error']:.2%}; {all_of} run from "
        f"{low:.4f} to {high:.4f}{beside}"
    ]
    if "held_out" in shown:
        held = shown["held_out"]
        found += [
            f"  held out by {held['rule']}: {held['mean_abs_error']:.5f} {law.unit}, {held['mean_relative_error']:.2%}",
            f"  {out_of_sample.beside(held['best_seen'])}",
        ]
    return found


def _given(law: Law) -> list[str]:
    if not isinstance(law, FormulaLaw):
        return []
    given = {name: f"{value:g}" for name, value in law.written.fixed.items()} | dict(law.written.tied)
    return [f"  given: {', '.join(f'{name} = {value}' for name, value in given.items())}"] if given else []


def interval_of(name: str, shown: Mapping[str, Any]) -> str:
    """A parameter's interval and its source."""
    kind = "bootstrap" if "intervals" in shown else "profile"
    interval = shown.get("intervals", shown["profile"])[name]
    text = f"95% [{interval[0]:.6g}, {interval[1]:.6g}] ({kind})" if interval else "no interval"
    if not interval:
        text += " without --bootstrap" if kind == "profile" else ": too many resamples without a number"
        text += f": {shown['profile_reason']}" if kind == "profile" and shown["profile_reason"] else ""
    bounds = shown["bounds_hit"]
    notes = ["at a bound"] if name in bounds else []
    if others := [other for other in bounds if other != name]:
        notes.append(f"given that {' and '.join(others)} {'stays' if len(others) == 1 else 'stay'} at a bound")
    for other, share in shown.get("bootstrap", {}).get("at_bound", {}).items():
        if other not in bounds:
            notes.append(f"{other} is at a bound in {share:.1%} of the resamples")
    if name in shown["unidentified"]:
        notes.append("not identified")
    return text + "".join(f"   {note}" for note in notes)
