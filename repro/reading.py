"""Reads a YAML or JSON file of bounded size as plain values; a YAML file may extend another."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

import yaml

from repro import paths
from repro.errors import UserError
from repro.yaml_values import DEPTH, Loader

BYTES = 4 * 2**20  # maximum file size


class Twice(ValueError):
    """A JSON object has one key twice, of which some parsers would take the first and others the last."""

    def __init__(self, key: str):
        super().__init__(f"the key {key!r} is given twice")
        self.key = key


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object_pairs_hook of JSON without duplicate keys. Raises Twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise Twice(next(key for key in keys if keys.count(key) > 1)[:100])
    return found


def no_number(text: str) -> NoReturn:
    """The parse_constant of JSON whose numbers are finite. Raises ValueError."""
    raise ValueError(f"{text} is no number")


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The mapping in a YAML file; with `extends: OTHER.yaml`, its top-level keys replace those of the other file.

    The other file may extend a third; paths are relative to the file that names them.

    Raises:
        UserError: a file is missing, broken or not a mapping, or extends itself.
    """
    return _extended(Path(paths.expand(path)), ())


def _extended(place: Path, above: tuple[str, ...]) -> dict[str, Any]:
    """As `read_yaml`, of a file that the files `above` extend."""
    data = read_mapping(place)
    if "extends" not in data:
        return data
    said = data.pop("extends")
    if not isinstance(said, str) or not said.strip():
        raise UserError("not a file", file=place, key="extends", found=repr(said), expected="a YAML file")
    other, seen = place.parent / paths.expand(said, file=place, key="extends"), (*above, os.path.realpath(place))
    if os.path.realpath(other) in seen:
        expected = "a chain that ends with a file without extends"
        raise UserError("files that extend each other", file=place, key="extends", found=said, expected=expected)
    if not other.exists():
        raise UserError("no such file", file=place, key="extends", found=other, expected="a YAML file")
    return _extended(other, seen) | data


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in one YAML or JSON file, `extends` not followed.

    Raises:
        UserError: the file is missing, malformed or not a mapping.
    """
    text = _text(path)
    try:
        if path.suffix == ".json":
            data = json.loads(text, object_pairs_hook=once, parse_constant=no_number)
        else:
            data = Loader(text, str(path)).get_single_data()
    except yaml.YAMLError as error:
        raise UserError(f"not valid YAML: {error}", file=path, expected="YAML: `key: value` lines") from error
    except RecursionError as error:
        raise UserError("nested too deeply", file=path, expected=f"at most {DEPTH} levels") from error
    except Twice as error:
        raise UserError("a key is given twice", file=path, key=error.key, expected="each key once") from error
    except ValueError as error:
        raise UserError(f"not valid {path.suffix[1:].upper()}: {error}", file=path, expected="an object") from error
    if not isinstance(data, dict):
        found = "nothing" if data is None else type(data).__name__
        raise UserError("not a mapping", file=path, found=found, expected="`key: value` lines")
    return data


def _text(path: Path) -> str:
    """The text of a file, in UTF-8, or in UTF-16 or UTF-32 if detected by YAML's rules."""
    if path.is_dir():
        raise UserError("a folder where a file is expected", file=path, expected="a YAML file")
    try:
        kind = path.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind) or stat.S_ISCHR(kind)):
            raise UserError("not a file", file=path, expected="a YAML file")
        with path.open("rb") as stream:
            data = stream.read(BYTES + 1)
    except FileNotFoundError as error:
        raise UserError("no such file", file=path, expected="a YAML file") from error
    if len(data) > BYTES:
        raise UserError("too long", file=path, found=f"over {BYTES:,} bytes", expected="a YAML file written by hand")
    detected = json.detect_encoding(data)
    encoding = "utf-8-sig" if detected == "utf-8" else detected
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"byte 0x{data[error.start]:02x} on line {line}"
        expected = "text in UTF-8"
        raise UserError(f"not valid YAML: not {encoding} text", file=path, found=found, expected=expected) from error
