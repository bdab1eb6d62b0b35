"""The decorator for strict frozen dataclasses, and `build`, which makes one from plain values."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import field, fields
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

import pydantic.dataclasses
from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import CoreSchema, core_schema

from repro.errors import UserError
from repro.strict.messages import explained
from repro.strict.rules import Above, Between, Form, Refusal, keyed, ruled, with_

T = TypeVar("T")
_CONFIG = ConfigDict(extra="forbid")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def dataclass(cls: type[T]) -> type[T]:
    """A frozen dataclass that enforces its declared types and the bounds in Annotated.

    A violation, in Python or in `build`, raises a UserError that names the key. `__post_init__` may raise UserErrors,
    too.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    cls.__annotations__ = {name: keyed(name, ruled(hints[name])) for name in inspect.get_annotations(cls)}
    if "__post_init__" in cls.__dict__:
        setattr(cls, "__post_init__", _refusing(cls.__dict__["__post_init__"]))  # noqa: B010
    made: Any = pydantic.dataclasses.dataclass(frozen=True, config=_CONFIG)(cls)
    construct = made.__init__

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **given: Any) -> None:
        try:
            construct(self, *args, **given)
        except ValidationError as error:
            raise explained(error, type(self)) from error

    made.__init__ = __init__
    return cast(type[T], made)


def optional(name: str, hints: dict[str, Any]) -> type:
    """A strict dataclass in which every key may be left out or null.

    Args:
        hints: types by key, as declared by another strict dataclass.
    """
    optional_hints = {}
    for key, hint in hints.items():
        inner, *declared = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
        kept = [one for one in declared if isinstance(one, (str, Between, Above, Form))]
        optional_hints[key] = with_(inner | None, *kept)
    made = type(name, (), {"__annotations__": optional_hints, "__module__": __name__, **dict.fromkeys(hints)})
    return dataclass(made)


def _refusing(check: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(check)
    def __post_init__(self: Any) -> None:
        try:
            check(self)
        except UserError as error:
            raise Refusal(error) from error

    return __post_init__


def build(cls: type[T], data: Any, *, file: object = None, key: str = "") -> T:
    """An instance of the strict dataclass `cls` from a mapping, of YAML or JSON; file and key say where it is.

    Raises:
        UserError: an unknown or missing key, a wrong type, a value out of bounds, or one that the class rejects.
    """
    try:
        adapter: TypeAdapter[T] = _adapter(cls)  # type: ignore[arg-type]
        return adapter.validate_python(data)
    except ValidationError as error:
        raise explained(error, cls).located(file, key) from error


@functools.cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


class KeysOf:
    """In Annotated of a dict: its keys must be keys of these strict dataclasses; values are checked by `build`, later."""

    def __init__(self, *classes: type):
        self.classes = classes

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
        for cls in self.classes:
            made = handler(_adapter(cls).core_schema)
            found["properties"] |= handler.resolve_ref_schema(made)["properties"]
        return found

    def _known(self, given: dict[str, Any]) -> dict[str, Any]:
        allowed = [one.name for cls in self.classes for one in fields(cls)]
        for key in given:
            if key not in allowed:
                expected = f"one of: {', '.join(allowed)}"
                raise Refusal(UserError("unknown key", key=key, found=key, expected=expected))
        return given


def taken(cls: type, given: dict[str, Any]) -> dict[str, Any]:
    """The entries of `given` whose keys are fields of a strict dataclass."""
    return {one.name: given[one.name] for one in fields(cls) if one.name in given}


def json_schema(cls: type) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the mappings that `build` accepts."""
    return _adapter(cls).json_schema(schema_generator=_Untitled)


class _Untitled(GenerateJsonSchema):
    """Leaves out titles, which would repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
