"""Converts pydantic's validation errors to UserErrors with key, found and expected value."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Annotated, Any

from pydantic import Tag, ValidationError
from pydantic_core import ErrorDetails

from repro.errors import UserError
from repro.strict.rules import NO_ALTERNATIVE, Above, Between, Form, Refusal, key_of, shown

_BOUNDS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_UNKNOWN = "unexpected_keyword_argument"
_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "text, in quotes where it looks like a number",
    bool: "true or false",
    Any: "a value",
}


def explained(error: ValidationError, cls: type) -> UserError:
    """The first error that pydantic found in a `cls`; an unknown key first, because it may have caused the others.

    For a union, the alternative that matched deepest into the value is reported: it is the most likely one.
    """
    found = error.errors(include_url=False)
    first = next((one for one in found if one["type"] == _UNKNOWN), found[0])
    key, hint, owner = _at(cls, first["loc"])
    for other in found:
        inner, its_hint, its_owner = _at(cls, other["loc"])
        if len(inner) > len(key) and inner.startswith((f"{key}.", f"{key}[")):
            first, key, hint, owner = other, inner, its_hint, its_owner
    return _told(first, key, hint, owner)


def _told(fault: ErrorDetails, key: str, hint: Any, owner: type) -> UserError:
    kind, value = fault["type"], shown(fault["input"])
    if kind == "value_error" and isinstance(refused := fault["ctx"]["error"], Refusal):
        return refused.error.located(None, key)
    if kind == _UNKNOWN:
        allowed = ", ".join(key_of(field.name) for field in dataclasses.fields(owner))
        return UserError("unknown key", key=key, found=fault["loc"][-1], expected=f"one of: {allowed}")
    if kind == NO_ALTERNATIVE:
        return UserError("matches none of the alternatives", key=key, found=value, expected=fault["msg"])
    if kind == "missing":
        return UserError("missing key", key=key, expected=described(hint))
    if kind in _BOUNDS:
        return UserError("value out of range", key=key, found=value, expected=_bound(hint) or fault["msg"])
    if kind == "string_pattern_mismatch":
        return UserError("not of the expected form", key=key, found=value, expected=_bound(hint))
    if kind == "literal_error":
        return UserError("value not allowed", key=key, found=value, expected=described(hint))
    message = "not a mapping" if kind == "dataclass_type" else "wrong type of value"
    return UserError(message, key=key or None, found=value, expected=described(hint))


def _at(hint: Any, loc: tuple[int | str, ...], key: str = "", owner: type = object) -> tuple[str, Any, type]:
    """The key at a pydantic location, its declared type, and the class it belongs to."""
    if not loc:
        return key, hint, owner
    part, *rest = loc
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _at(args[0], loc, key, owner)
    if origin in (typing.Union, types.UnionType):
        options = [arg for arg in args if arg is not type(None)]
        if len(options) == 1:
            return _at(options[0], loc, key, owner)
        if not rest:
            return key, hint, owner  # `part` is the name of an alternative
        named = [option for option in options if part == _name(option)] or options
        found = [_at(option, tuple(rest), key, owner) for option in named]
        return max(found, key=lambda one: one[1] is not Any)
    if dataclasses.is_dataclass(hint):
        fields = dataclasses.fields(hint)
        name = key_of(fields[part].name if isinstance(part, int) else part)  # a positional argument
        types_ = {key_of(field.name): field.type for field in fields}
        return _at(types_.get(name, Any), tuple(rest), f"{key}.{name}" if key else name, typing.cast(type, hint))
    if origin is tuple:
        return _at(args[0], tuple(rest), f"{key}[{part}]", owner)
    if origin is dict:
        return _at(args[1], tuple(rest), f"{key}.{part}" if key else str(part), owner)
    return _at(Any, tuple(rest), f"{key}.{part}" if key else str(part), owner)


def _name(alternative: Any) -> str:
    """Pydantic's name of an alternative of a union."""
    tags = [one.tag for one in getattr(alternative, "__metadata__", ()) if isinstance(one, Tag)]
    return tags[0] if tags else getattr(alternative, "__name__", str(alternative))


def _bound(hint: Any) -> str:
    """The declared bound of a number or text; empty if there is none."""
    own = [str(one) for one in getattr(hint, "__metadata__", ()) if isinstance(one, (Between, Above, Form))]
    parts = typing.get_args(hint)[:1] if typing.get_origin(hint) is Annotated else ()
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = typing.get_args(hint)
    return next(filter(None, (*own, *map(_bound, parts))), "")


def described(hint: Any) -> str:
    """A declared type in words."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        bound = _bound(hint) if args[0] in _NAMES else ""
        return f"{described(args[0])}, {bound}" if bound else described(args[0])
    if origin is typing.Literal:
        return "one of: " + ", ".join(map(repr, args))
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if arg is type(None) else described(arg) for arg in args)
    if origin is tuple:
        return f"a list of {described(args[0])}"
    if origin is dict:
        return f"a mapping to {described(args[1])}"
    if dataclasses.is_dataclass(hint):
        return f"the keys of {typing.cast(type, hint).__name__}"
    return _NAMES.get(hint, getattr(hint, "__name__", str(hint)))
