"""YAML and JSON into frozen dataclasses, strictly: unknown, missing and ill-typed keys are errors."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml

from repro.errors import UserError

T = TypeVar("T")


class _Loader(yaml.SafeLoader):
    """SafeLoader of YAML 1.2's numbers (`1e-3` is one, `2:4` isn't) that refuses a key given twice."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


_SIXTIES = re.compile(r"^[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?$")  # YAML 1.1 counts 2:4 as 124


def _scalar(loader: _Loader, node: yaml.ScalarNode, construct: Any) -> Any:
    return node.value if _SIXTIES.match(node.value) else construct(loader, node)


for _kind, _construct in (("int", yaml.SafeLoader.construct_yaml_int), ("float", yaml.SafeLoader.construct_yaml_float)):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", partial(_scalar, construct=_construct))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    loader.flatten_mapping(node)
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise UserError(
                "a key is given twice",
                file=node.start_mark.name,
                key=str(key),
                found=f"again on line {key_node.start_mark.line + 1}",
                expected="each key once",
            )
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file; where it says `extends: OTHER.yaml`, its top-level keys replace the other's.

    Raises:
        UserError: a file is missing, broken or not a mapping.
    """
    data = _read(Path(path))
    if "extends" in data:
        data = _read(Path(path).parent / str(data.pop("extends"))) | data
    return data


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError("no such file", file=path, expected="a YAML file")
    with path.open(encoding="utf-8") as stream:
        try:
            data = yaml.load(stream, Loader=_Loader)
        except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
            raise UserError(
                f"not valid YAML: {error}", file=path, expected="UTF-8 text, keys that are words"
            ) from error
    if not isinstance(data, dict):
        raise UserError("not a mapping", file=path, found=type(data).__name__, expected="`key: value` lines")
    return data


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
            "not a mapping", file=file, key=key or None, found=repr(data), expected=f"the keys of {cls.__name__}"
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
        return UserError("wrong type of value", file=file, key=key, found=repr(value), expected=_describe(hint))

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
        if value not in args or isinstance(value, bool) not in {isinstance(arg, bool) for arg in args}:
            raise UserError("value not allowed", file=file, key=key, found=repr(value), expected=_describe(hint))
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise wrong()
        return tuple(_convert(args[0], item, file, f"{key}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise wrong()
        return {
            str(k) if args[0] is str else _convert(args[0], k, file, f"{key}.{k}"): _convert(
                args[1], v, file, f"{key}.{k}"
            )
            for k, v in value.items()
        }
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, file=file, key=key)
    if hint is bool:
        if not isinstance(value, bool):
            raise wrong()
        return value
    if hint is int:
        if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
            raise wrong()
        return int(value)
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise wrong()
        return float(value)
    if hint is str:
        if not isinstance(value, str):
            raise wrong()
        return value
    if hint is Any:
        return value
    raise TypeError(f"{key}: no rule for {hint}")


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
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(hint, getattr(hint, "__name__", str(hint)))
