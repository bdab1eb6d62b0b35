"""Plain values, as YAML and JSON give them, into frozen dataclasses: unknown, missing and ill-typed keys are errors."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any, TypeVar

from repro.errors import UserError
from repro.reading import number, read_yaml

__all__ = ["build", "read_yaml"]

WHOLE = 2**63  # tables keep whole numbers in 64 bits
_YES_AND_NO = dict.fromkeys(("yes", "on"), True) | dict.fromkeys(("no", "off"), False)  # of YAML 1.1

T = TypeVar("T")


def build(cls: type[T], data: Any, *, file: object = None, key: str = "") -> T:
    """An instance of dataclass `cls` from a mapping.

    Args:
        cls: a dataclass; nested dataclasses, Optional, Literal, tuple[X, ...], dict[str, X] and dict[float, X] are followed.
        data: the mapping, as YAML or JSON gave it.
        file, key: where the mapping stands, for error messages.

    Raises:
        UserError: unknown or missing key, wrong type, or a value the class itself refuses.
    """
    if not isinstance(data, dict):
        raise UserError(
            "not a mapping", file=file, key=key or None, found=_shown(data), expected=f"the keys of {cls.__name__}"
        )
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    at = key + "." if key else ""
    for name in data:
        if name not in fields:
            raise UserError(
                "unknown key", file=file, key=f"{at}{name}", found=name, expected=f"one of: {', '.join(fields)}"
            )
    values = {name: _convert(hints[name], value, file, f"{at}{name}") for name, value in data.items()}
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError("missing key", file=file, key=f"{at}{name}", expected=_describe(hints[name]))
    try:
        return cls(**values)
    except UserError as error:
        if error.file is None and file is not None:
            raise UserError(
                str(error).split("\n")[0],
                file=file,
                key=f"{at}{error.key}" if error.key else key or None,
                found=error.found,
                expected=error.expected,
            ) from error
        raise


def _convert(hint: Any, value: Any, file: object, key: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)

    def wrong() -> UserError:
        return UserError("wrong type of value", file=file, key=key, found=_shown(value), expected=_describe(hint))

    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        options = [a for a in args if a is not type(None)]
        for option in options[:-1]:
            try:
                return _convert(option, value, file, key)
            except UserError:
                continue
        return _convert(options[-1], value, file, key)
    if origin is typing.Literal:
        for allowed in args:
            if value == allowed and isinstance(value, bool) == isinstance(allowed, bool):
                return allowed
        raise UserError("value not allowed", file=file, key=key, found=_shown(value), expected=_describe(hint))
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise wrong()
        return tuple(_convert(args[0], item, file, f"{key}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise wrong()
        return _mapping(args, value, file, key)
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, file=file, key=key)
    if hint is bool:
        said = _YES_AND_NO.get(value.lower()) if isinstance(value, str) else value
        if not isinstance(said, bool):
            raise wrong()
        return said
    if hint is int:
        if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
            raise wrong()
        if not -WHOLE <= value < WHOLE:
            raise UserError(
                "a number out of range", file=file, key=key, found=_shown(value), expected="a whole number below 2^63"
            )
        return int(value)
    if hint is float:
        try:
            if not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value):
                return float(value)
        except OverflowError:  # of a whole number that no float holds
            pass
        raise wrong()
    if hint is str:
        if not isinstance(value, str):
            raise wrong()
        return value
    if hint is Any:
        return value
    raise TypeError(f"{key}: no rule for {hint}")


def _mapping(args: tuple[Any, ...], value: dict[Any, Any], file: object, key: str) -> dict[Any, Any]:
    """A mapping whose keys are text, or numbers that a file has as text."""
    found: dict[Any, Any] = {}
    for name, held in value.items():
        at = f"{key}.{name}"
        converted = str(name) if args[0] is str else _convert(args[0], number(name), file, at)
        if converted in found:
            raise UserError("a key is given twice", file=file, key=at, found=name, expected="each key once")
        found[converted] = _convert(args[1], held, file, at)
    return found


def _shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _describe(hint: Any) -> str:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "one of: " + ", ".join(map(repr, args))
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if a is type(None) else _describe(a) for a in args)
    if origin is tuple:
        return f"a list of {_describe(args[0])}"
    if origin is dict:
        return f"a mapping to {_describe(args[1])}"
    names = {
        int: "a whole number",
        float: "a number",
        str: "text, in quotes where it looks like a number",
        bool: "true or false",
    }
    return names.get(hint, getattr(hint, "__name__", str(hint)))
