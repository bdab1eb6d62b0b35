"""How values of a file are converted to declared types, and the bounds that a declaration can have."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import annotated_types
from pydantic import AliasChoices, BeforeValidator, Discriminator, Field, Strict, StringConstraints, Tag

from repro.errors import UserError
from repro.yaml_values import number

NO_ALTERNATIVE = "no_alternative"
WHOLE = 2**63  # tables store whole numbers in 64 bits
_YES_AND_NO = dict.fromkeys(("yes", "on"), True) | dict.fromkeys(("no", "off"), False)  # of YAML 1.1


class Refusal(ValueError):
    """Carries a UserError through pydantic, which adds the value's location to a ValueError."""

    def __init__(self, error: UserError):
        super().__init__(str(error))
        self.error = error


@dataclasses.dataclass(frozen=True)
class Between(annotated_types.GroupedMetadata):
    """Bounds of a number; `ends` says which are included: "[]", "[)", "(]" or "()"."""

    least: float
    most: float
    unit: str = ""
    ends: typing.Literal["[]", "[)", "(]", "()"] = "[]"

    def __iter__(self) -> Iterator[annotated_types.BaseMetadata]:
        yield annotated_types.Ge(self.least) if self.ends[0] == "[" else annotated_types.Gt(self.least)
        yield annotated_types.Le(self.most) if self.ends[1] == "]" else annotated_types.Lt(self.most)

    def __str__(self) -> str:
        if self.ends == "[]":
            return f"{self.least:,} to {self.most:,}{self.unit and ' '}{self.unit}"
        low, high = ("<=" if end in "[]" else "<" for end in self.ends)
        return f"{self.least:,} {low} {self.unit or 'value'} {high} {self.most:,}"


@dataclasses.dataclass(frozen=True)
class Above(annotated_types.GroupedMetadata):
    """A finite number above `least`, or equal to it if `inclusive`."""

    least: float
    unit: str = ""
    inclusive: bool = False

    def __iter__(self) -> Iterator[annotated_types.BaseMetadata]:
        yield annotated_types.Ge(self.least) if self.inclusive else annotated_types.Gt(self.least)

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        least = f"{self.least:,}{unit} or more" if self.inclusive else f"more than {self.least:,}{unit}"
        return f"{least}, and finite"


@dataclasses.dataclass(frozen=True)
class Form(StringConstraints):
    """Text that matches `pattern`; `said` describes it in a message."""

    said: str = ""

    def __str__(self) -> str:
        return self.said


class ByKey:
    """In Annotated of a union of strict dataclasses: selects the alternative by a key that only one of them has.

    For example `Annotated[FromFolder | FromRun, ByKey(model=FromFolder, run=FromRun)]`.
    """

    def __init__(self, **alternatives: type):
        self.alternatives = alternatives

    def tagged(self) -> Any:
        """The union with a discriminator for pydantic."""
        parts = tuple(Annotated[cls, Tag(key)] for key, cls in self.alternatives.items())
        said = f"a mapping with one of the keys {', '.join(self.alternatives)}"
        told = Discriminator(self._meant, custom_error_type=NO_ALTERNATIVE, custom_error_message=said)
        return Annotated[typing.Union[parts], told]  # noqa: UP007

    def _meant(self, value: Any) -> str | None:
        for key, cls in self.alternatives.items():
            if isinstance(value, cls) or (isinstance(value, dict) and key in value):
                return key
        return None


def ruled(hint: Any) -> Any:
    """A declared type with this module's rules added to its parts.

    Whole numbers may be written 3.0e2; true and false aren't numbers; numbers are finite; text isn't converted; yes, no,
    on and off are accepted as booleans; numeric keys are parsed like numbers. A text in Annotated is the description of
    the key.
    """
    origin: Any = typing.get_origin(hint)
    args: Any = typing.get_args(hint)
    if origin is Annotated:
        return _annotated(*args)
    if hint in _RULES:
        return Annotated[(hint, *_RULES[hint])]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(ruled(arg) for arg in args)]  # noqa: UP007
    if origin is tuple:
        return origin[ruled(args[0]), ...]
    if origin is dict:
        return Annotated[origin[args[0], ruled(args[1])], BeforeValidator(_KEYS[args[0]])]
    if origin is typing.Literal and bool not in map(type, args):
        return Annotated[hint, BeforeValidator(_no_flag)]
    return hint


def _annotated(inner: Any, *declared: Any) -> Any:
    """`ruled` for an Annotated type; bounds of an optional value are moved to its non-null type."""
    texts = [one for one in declared if isinstance(one, str)]
    bounds = [one for one in declared if not isinstance(one, (str, ByKey))]
    by_key = next((one for one in declared if isinstance(one, ByKey)), None)
    if by_key is not None:
        held = by_key.tagged()
        if type(None) in typing.get_args(inner):
            held = typing.Optional[held]  # noqa: UP045
    elif typing.get_origin(inner) in (typing.Union, types.UnionType):
        parts = [arg if arg is type(None) else with_(arg, *bounds) for arg in typing.get_args(inner)]
        held = ruled(typing.Union[tuple(parts)])  # noqa: UP007
    elif inner in _RULES:
        held = with_(inner, *bounds, *_RULES[inner])
    else:
        held = with_(ruled(inner), *bounds)
    return with_(held, *texts, *(Field(description=text) for text in texts))


def key_of(name: str) -> str:
    """The key of a field: its name, without the underscore that keeps it from being a word of Python's, as in `return_`."""
    return name.removesuffix("_")


def keyed(name: str, hint: Any) -> Any:
    """A field's type; its name is accepted beside its key, because `dataclasses.asdict` writes names."""
    key = key_of(name)
    return hint if key == name else with_(hint, Field(validation_alias=AliasChoices(key, name)))


def with_(hint: Any, *metadata: Any) -> Any:
    """Annotated with the metadata, if there is any."""
    return Annotated[(hint, *metadata)] if metadata else hint


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not -WHOLE <= value < WHOLE:
        raise Refusal(UserError("a number out of range", found=shown(value), expected="a whole number below 2^63"))
    return value


def _flag(value: Any) -> Any:
    return _YES_AND_NO.get(value.lower(), value) if isinstance(value, str) else value


def _no_flag(value: Any) -> Any:
    """Keeps True from matching the literal 1."""
    return repr(value) if isinstance(value, bool) else value


def _text_keys(value: Any) -> Any:
    return {str(name): held for name, held in value.items()} if isinstance(value, dict) else value


def _number_keys(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found: dict[float, Any] = {}
    for name, held in value.items():
        key = number(name)
        if isinstance(key, bool) or not isinstance(key, (int, float)):
            raise Refusal(UserError("wrong type of value", key=str(name), found=shown(name), expected="a number"))
        if key in found:
            raise Refusal(UserError("a key is given twice", key=str(name), found=name, expected="each key once"))
        found[float(key)] = held
    return found


_RULES: dict[Any, tuple[Any, ...]] = {
    int: (Strict(), BeforeValidator(_whole)),
    float: (Strict(), Field(allow_inf_nan=False)),
    bool: (Strict(), BeforeValidator(_flag)),
    str: (Strict(),),
}
_KEYS: dict[Any, Callable[[Any], Any]] = {str: _text_keys, float: _number_keys}


def shown(value: Any) -> str:
    """A value for a message, truncated if long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
