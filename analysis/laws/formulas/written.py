"""A law as written, before it is matched with a table: a formula, and the declarations of its parameters.

A law file (YAML), a saved fit and the options of the commands have the same keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from repro import reading
from repro.errors import UserError, located

OF_PARAMETERS = ("bounds", "starts", "log", "unit")
MAPS = ("where", "parameters", "fixed", "tied", "columns", "published")
FOLDER = Path(__file__).parents[1] / "shipped"  # one law file each, called as its law
SHIPPED = tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


@dataclass(frozen=True)
class SaidParameter:
    """The declaration of one parameter; None for what isn't declared.

    Attributes:
        bounds: low and high. starts: where the solver starts; none of a scale.
        log: the solver works on its logarithm. unit: for readers.
    """

    bounds: tuple[float, float] | None = None
    starts: tuple[float, ...] = ()
    log: bool | None = None
    unit: str = ""


@dataclass(frozen=True)
class WrittenLaw:
    """A formula with the declarations of its parameters.

    Attributes:
        formula: `E + A/N^alpha`, or `log(loss) = …`.
        name: how the law is called; its formula where it has no name. source: paper, section.
        where: names that stand for a part of the formula or for a constant, each of those before it.
        parameters: by name; of a group the name before the bracket, or one level, `eff[fp8]`.
        fixed: parameters that are known. tied: parameters that equal another one, by their names.
        columns: names that are columns whatever a table has, with what they hold. unit: of what it predicts, if not nats.
        published: constants that somebody has printed, by data set.
    """

    formula: str
    name: str = ""
    source: str = ""
    where: Mapping[str, str | float] = field(default_factory=dict)
    parameters: Mapping[str, SaidParameter] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    tied: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def declared(self) -> list[str]:
        """Names that are declared as something other than a column."""
        return [*self.where, *self.parameters, *self.fixed, *self.tied, *self.tied.values()]

    def told(self, bounds: Mapping[str, tuple[float, float]], fixed: Mapping[str, float], tied: Mapping[str, str]) -> WrittenLaw:  # fmt: skip
        """The same with further declarations, which override earlier ones."""
        said = dict(self.parameters)
        for name, own in bounds.items():
            said[name] = replace(said.get(name, SaidParameter()), bounds=own, starts=())
        return replace(self, parameters=said, fixed={**self.fixed, **fixed}, tied={**self.tied, **tied})

    def given(self, parameters: Mapping[str, float]) -> dict[str, float]:
        """The values of fixed and tied parameters, given those of the free ones."""
        known = {**parameters, **self.fixed}
        return {**self.fixed, **{name: known[other] for name, other in self.tied.items()}}

    def as_data(self) -> dict[str, Any]:
        """As plain data, which `of_data` reads."""
        said = {
            name: {
                key: [one if math.isfinite(one) else str(one) for one in value] if isinstance(value, tuple) else value
                for key in OF_PARAMETERS
                if (value := getattr(own, key)) not in (None, (), "")
            }
            for name, own in self.parameters.items()
        }
        own = {one.name: getattr(self, one.name) for one in fields(self)} | {"parameters": said}
        return {key: dict(value) if isinstance(value, Mapping) else value for key, value in own.items() if value}


def shipped(name: str) -> WrittenLaw:
    """The law of one of the names SHIPPED."""
    file = FOLDER / f"{name}.yaml"
    return of_data(reading.read_mapping(file), file.name)


def of_data(data: Mapping[str, Any], file: object = None) -> WrittenLaw:
    """A law from a file's mapping.

    Raises:
        UserError: a key that no law has, a missing formula, or a value of another type.
    """
    with located(file, ""):
        known = [one.name for one in fields(WrittenLaw)]
        for key in data:
            _need(key in known, str(key), key, ", ".join(known), "a key that no law has")
        formula = data.get("formula")
        _need(isinstance(formula, str), "formula", data.get("formula", "nothing"), "a formula, as E + A/N^alpha")
        texts = {key: data[key] for key in ("name", "source", "unit") if key in data}
        for key, text in texts.items():
            _need(isinstance(text, str), key, text, "text")
        maps: dict[str, Any] = {key: _named(key, data.get(key, {}), "names and what is said of each") for key in MAPS}
        for key, expected in (("tied", "the name of another parameter"), ("columns", "what it holds, in words")):
            for name, text in maps[key].items():
                _need(isinstance(text, str), f"{key}.{name}", text, expected)
        for name, own in maps["where"].items():
            maps["where"][name] = own if isinstance(own, str) else _number(f"where.{name}", own)
        for name, own in maps["published"].items():
            key = f"published.{name}"
            maps["published"][name] = _numbers(key, _named(key, own, "parameters and their values"))
        maps["parameters"] = {name: _said(f"parameters.{name}", own) for name, own in maps["parameters"].items()}
        maps["fixed"] = _numbers("fixed", maps["fixed"])
        return WrittenLaw(data["formula"], **texts, **maps)


def _said(key: str, value: Any) -> SaidParameter:
    value = {} if value is None else value
    _need(isinstance(value, Mapping), key, value, f"some of {', '.join(OF_PARAMETERS)}")
    for own in value:
        _need(own in OF_PARAMETERS, f"{key}.{own}", own, ", ".join(OF_PARAMETERS), "a key that no parameter has")
    bounds, starts = value.get("bounds"), value.get("starts", [])
    log, unit = value.get("log", False), value.get("unit", "")
    _need(bounds is None or (isinstance(bounds, list) and len(bounds) == 2), f"{key}.bounds", bounds, "[low, high]")
    _need(isinstance(starts, list), f"{key}.starts", starts, "a list of numbers")
    _need(isinstance(log, bool), f"{key}.log", log, "true or false")
    _need(isinstance(unit, str), f"{key}.unit", unit, "text")
    ends = [_number(f"{key}.bounds", end, finite=False) for end in bounds or ()]
    given = tuple(_number(f"{key}.starts", one) for one in starts)
    return SaidParameter((ends[0], ends[1]) if ends else None, given, value.get("log"), unit)


def _named(key: str, value: Any, expected: str) -> dict[str, Any]:
    _need(isinstance(value, Mapping) and all(isinstance(name, str) for name in value), key, value, expected)
    return dict(value)


def _numbers(key: str, values: Mapping[str, Any]) -> dict[str, float]:
    return {name: _number(f"{key}.{name}", value) for name, value in values.items()}


def _number(key: str, value: Any, *, finite: bool = True) -> float:
    try:  # YAML takes 1e9 for text
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    held = math.isfinite(found) or (math.isinf(found) and not finite)
    _need(held, key, value, "a finite number" if finite else "a number")
    return found


def _need(held: bool, key: str, found: Any, expected: str, message: str = "not a law file") -> None:
    if not held:
        raise UserError(message, key=key, found=str(found)[:200], expected=expected)
