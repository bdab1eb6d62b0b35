"""A law as written, before it is matched with a table: a formula, and the declarations of its parameters.

A law file (YAML), a saved fit and the options of the commands have the same keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NoReturn

from repro.errors import UserError

OF_PARAMETERS = ("bounds", "starts", "log", "unit")


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


def of_data(data: Mapping[str, Any], file: object = None) -> WrittenLaw:
    """A law from a file's mapping.

    Raises:
        UserError: a key that no law has, a missing formula, or a value of another type.
    """
    known = [one.name for one in fields(WrittenLaw)]
    for key in data:
        if key not in known:
            _wrong(file, str(key), key, ", ".join(known), "a key that no law has")
    if not isinstance(data.get("formula"), str):
        _wrong(file, "formula", data.get("formula", "nothing"), "a formula, as E + A/N^alpha")
    maps: dict[str, dict[str, Any]] = {}
    for key in ("where", "parameters", "fixed", "tied", "columns", "published"):
        value = data.get(key, {})
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            _wrong(file, key, value, "names and what is said of each")
        maps[key] = dict(value)
    for name, value in maps["where"].items():
        if not isinstance(value, str):
            maps["where"][name] = _number(file, f"where.{name}", value)
    for name, value in maps["tied"].items():
        if not isinstance(value, str):
            _wrong(file, f"tied.{name}", value, "the name of another parameter")
    for name, value in maps["columns"].items():
        if not isinstance(value, str):
            _wrong(file, f"columns.{name}", value, "what it holds, in words")
    for name, value in maps["published"].items():
        if not isinstance(value, Mapping) or not all(isinstance(own, str) for own in value):
            _wrong(file, f"published.{name}", value, "parameters and their values")
        maps["published"][name] = {own: _number(file, f"published.{name}.{own}", one) for own, one in value.items()}
    for key in ("name", "source", "unit"):
        if not isinstance(data.get(key, ""), str):
            _wrong(file, key, data[key], "text")
    return WrittenLaw(
        data["formula"], data.get("name", ""), data.get("source", ""), maps["where"],
        {name: _said(file, f"parameters.{name}", value) for name, value in maps["parameters"].items()},
        {name: _number(file, f"fixed.{name}", value) for name, value in maps["fixed"].items()}, maps["tied"],
        maps["columns"], data.get("unit", ""), maps["published"],
    )  # fmt: skip


def _said(file: object, key: str, value: Any) -> SaidParameter:
    value = {} if value is None else value
    if not isinstance(value, Mapping):
        _wrong(file, key, value, f"some of {', '.join(OF_PARAMETERS)}")
    for own in value:
        if own not in OF_PARAMETERS:
            _wrong(file, f"{key}.{own}", own, ", ".join(OF_PARAMETERS), "a key that no parameter has")
    bounds, starts = value.get("bounds"), value.get("starts", [])
    if bounds is not None and (not isinstance(bounds, list) or len(bounds) != 2):
        _wrong(file, f"{key}.bounds", bounds, "[low, high]")
    if not isinstance(starts, list):
        _wrong(file, f"{key}.starts", starts, "a list of numbers")
    if not isinstance(value.get("log", False), bool):
        _wrong(file, f"{key}.log", value["log"], "true or false")
    if not isinstance(value.get("unit", ""), str):
        _wrong(file, f"{key}.unit", value["unit"], "text")
    ends = [_number(file, f"{key}.bounds", end, finite=False) for end in bounds or ()]
    return SaidParameter(
        (ends[0], ends[1]) if ends else None, tuple(_number(file, f"{key}.starts", one) for one in starts),
        value.get("log"), value.get("unit", ""),
    )  # fmt: skip


def _number(file: object, key: str, value: Any, *, finite: bool = True) -> float:
    try:  # YAML takes 1e9 for text
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if math.isnan(found) or (finite and math.isinf(found)):
        _wrong(file, key, value, "a finite number" if finite else "a number")
    return found


def _wrong(file: object, key: str, found: Any, expected: str, message: str = "not a law file") -> NoReturn:
    raise UserError(message, file=file, key=key, found=str(found)[:200], expected=expected)
