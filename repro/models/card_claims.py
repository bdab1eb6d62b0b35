"""Claims about a model, from its card or the command line, checked against its weights."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

from repro.errors import UserError
from repro.models.counts import Counts

KEY = "claims"  # key of the claims in a card's front matter
SHORT = {
    "linear": "linear_params",
    "total": "total_params",
    "nonzero": "nonzero_linear_params",
    "average": "average_linear_params",
    "sparsity": "sparsity",
    "structure": "structure",
}
UNITS = {
    "": Decimal(1),
    "%": Decimal("0.01"),
    "K": Decimal("1e3"),
    "M": Decimal("1e6"),
    "B": Decimal("1e9"),
    "T": Decimal("1e12"),
}
LONGEST_CLAIM = 60  # characters
LONGEST_MATTER = 2**18  # characters of front matter
_NUMBER = re.compile(r"([+-]?[0-9,_]*(?:\.[0-9,_]*)?(?:[eE][+-]?[0-9]{1,2})?)[ ]?([%KMBTkmbt]?)")
SHARE = Decimal("0.001")  # tolerance of a stated sparsity


@dataclass(frozen=True)
class ClaimCheck:
    """A claim, the value found, and whether they agree."""

    claim: str
    stated: str
    found: str
    agrees: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def from_words(words: list[str]) -> dict[str, str]:
    """Claims from NAME=VALUE words. Raises UserError for anything else, or a duplicate name."""
    claims: dict[str, str] = {}
    for word in words:
        name, is_pair, value = word.partition("=")
        name = SHORT.get(name, name)
        if not is_pair or name not in SHORT.values() or name in claims:
            message = "given twice" if name in claims else "no such claim"
            expected = f"NAME=VALUE once, NAME one of: {', '.join(SHORT)}"
            raise UserError(message, key="--claim", found=word, expected=expected)
        claims[name] = value
    return claims


def from_card(card: str, file: object = None) -> dict[str, str]:
    """The claims in the front matter of a model card, if any.

    Raises:
        UserError: the front matter or a claim is malformed.
    """
    try:
        said = yaml.load(_front_matter(card, file), _Plain)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"the card's front matter is not YAML: {str(error)[:300]}", file=file) from error
    claims = said.get(KEY, {}) if isinstance(said, dict) else {}
    if not isinstance(claims, dict):
        raise UserError("claims without names", file=file, key=KEY, expected="NAME: VALUE lines")
    for name, value in claims.items():
        if name not in SHORT.values() or not _is_short(value):
            found = name if isinstance(name, str) else type(name).__name__
            expected = f"a number or a word for one of: {', '.join(SHORT.values())}"
            raise UserError("not a claim that can be checked", file=file, key=KEY, found=found, expected=expected)
    return {name: str(value) for name, value in claims.items()}


class _Plain(yaml.SafeLoader):
    """YAML without aliases, which could expand a page of text without limit."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a reference (*NAME), which no card needs")
        return super().compose_node(parent, index)


def _front_matter(card: str, file: object) -> str:
    """The lines between a first line `---` and the next one; "" if a card has none."""
    lines = io.StringIO(card)
    if lines.readline().rstrip() != "---":
        return ""
    matter = lines.read(LONGEST_MATTER)
    taken: list[str] = []
    for line in matter.splitlines(keepends=True):
        if line.rstrip() == "---":
            return "".join(taken)
        taken.append(line)
    if len(matter) < LONGEST_MATTER:
        return ""
    raise UserError(
        "front matter that doesn't end", file=file, expected=f"a line --- within {LONGEST_MATTER:,} characters"
    )


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_CLAIM and value.isprintable()
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30


def stated(found: Counts) -> dict[str, Any]:
    """The claims of a card whose weights have these counts."""
    return {
        "linear_params": found.linear_params,
        "total_params": found.total_params,
        "nonzero_linear_params": found.nonzero_linear_params,
        "sparsity": round(found.sparsity, 6),
        "structure": found.structure,
    }


def judge(claims: Mapping[str, str], counts: Counts) -> list[ClaimCheck]:
    """Checks each claim against the weights: counts to the last stated digit, sparsity to 0.1 percentage points.

    The average over training can't be computed from the final weights: it lies between non-zero and all weights.

    Raises:
        UserError: a claim that should be a number isn't one.
    """
    return [_judged(name, stated, counts) for name, stated in claims.items()]


def _judged(name: str, stated: str, counts: Counts) -> ClaimCheck:
    if name == "structure":
        return ClaimCheck(name, stated, counts.structure, stated == counts.structure)
    value, last = _number(name, stated)
    if name == "sparsity":
        found = counts.sparsity
        return ClaimCheck(name, stated, f"{found:.6g}", abs(value - Decimal(found)) <= SHARE)
    if name == "average_linear_params":
        least, most = counts.nonzero_linear_params, counts.linear_params
        agrees = least - last / 2 <= value <= most + last / 2
        return ClaimCheck(name, stated, f"between {least:,} and {most:,}", agrees)
    number = getattr(counts, name)
    return ClaimCheck(name, stated, f"{number:,}", abs(value - number) <= last / 2)


def _number(name: str, stated: str) -> tuple[Decimal, Decimal]:
    """A number and the value of its last digit: 1.14B is (1,140,000,000, 10,000,000)."""
    found = re.fullmatch(_NUMBER, stated.strip()) if len(stated) <= LONGEST_CLAIM else None
    try:
        digits = Decimal(re.sub("[,_]", "", found[1])) if found else None
    except InvalidOperation:
        digits = None
    if found is None or digits is None:
        raise UserError(
            "not a number", key=name, found=f"{stated!r:.80}", expected="a number as 1139281920, 1.14B, .8 or 80%"
        )
    unit = UNITS[found[2].upper()]
    return digits * unit, Decimal(1).scaleb(int(digits.as_tuple().exponent)) * unit
