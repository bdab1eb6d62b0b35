"""The options that bring a law of one's own: --formula, and what is said of its parameters."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TypeVar

from analysis.laws.formulas.written import WrittenLaw
from analysis.laws.law import Law
from analysis.verbs.shared_options import BOUNDS, FIX, LAW_NAMES, TIE
from repro.errors import UserError

T = TypeVar("T")


LISTED = "laws that ship:\n" + textwrap.fill(
    ", ".join(LAW_NAMES), 110, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Adds what is said of a formula's parameters, beside --formula itself."""
    for option in (FIX, TIE, BOUNDS):
        option.add(command, action="append", default=[], default_is="none")


def names(text: str) -> list[str]:
    """Names of laws that ship, comma-separated: a type of an option."""
    found = text.split(",")
    for name in found:
        if name not in LAW_NAMES:
            raise argparse.ArgumentTypeError(f"invalid choice: {name[:50]!r} (choose from {', '.join(LAW_NAMES)})")
    return found


def laws(given: argparse.Namespace, names: Sequence[str]) -> list[Law | WrittenLaw]:
    """The laws of these names and those that --formula gives, with what the other options say of what is a formula.

    Raises:
        UserError: see `law_rows.named` and `written_law`; an option that is none, or that has no formula to go with.
    """
    from analysis.fits import law_rows  # brings scipy, which --help does without

    texts: Sequence[str] = [given.formula] if isinstance(given.formula, str) else given.formula or []
    fixed, tied = _pairs("--fix", given.fix, float), _pairs("--tie", given.tie, str)
    bounds = _pairs("--bounds", given.bounds, _range)
    found = [*(law_rows.named(name) for name in names), *(law_rows.written_law(text) for text in texts)]
    if not any(isinstance(law, WrittenLaw) for law in found) and (said := [*fixed, *tied, *bounds]):
        raise UserError("an option for formulas only", key=f"--fix, --tie, --bounds {said[0]}", found="no formula", expected="--formula with it")  # fmt: skip
    return [law.told(bounds, fixed, tied) if isinstance(law, WrittenLaw) else law for law in found]


def _pairs(option: str, words: Sequence[str], read: Callable[[str], T]) -> dict[str, T]:
    """What NAME=VALUE,… words say. Raises UserError for a pair that is none, and for a name given twice."""
    found: dict[str, T] = {}
    for pair in (pair for word in words for pair in word.split(",")):
        name, sign, text = (part.strip() for part in pair.rpartition("="))
        if name in found:
            raise UserError("a name given twice", key=option, found=pair, expected="each name once")
        try:
            found[name] = read(text)
            if not (sign and name and text):
                raise ValueError
            if isinstance(found[name], float) and not math.isfinite(float(text)):
                raise ValueError
        except ValueError:
            wanted = {"--fix": "NAME=NUMBER", "--tie": "NAME=OTHER", "--bounds": "NAME=LOW:HIGH"}[option]
            raise UserError(f"not what {option} takes", key=option, found=pair, expected=wanted) from None
    return found


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    found = float(low), float(high)
    if math.isnan(found[0]) or math.isnan(found[1]):
        raise ValueError
    return found
