"""Paths given by users: expands `~` and variables, matches patterns, checks names before they become paths."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from repro.errors import UserError, located

MATCHES = 1_000_000  # maximum number of files that a pattern may match
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+=-]{0,126}[A-Za-z0-9_+=-])?")
_ONE_SLASH = re.compile(r"(?:s3|gs|gcs|abfss?|hdfs|file|https?):/?(?:[^/:]|$)", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)


def expand(place: str | os.PathLike[str], *, file: object = None, key: str | None = None) -> str:
    """`place` with a leading `~` or `~user`, `$NAME` and `${NAME}` expanded as in a shell.

    The leading part of a local path that exists as written isn't expanded, so that folders with a `$` in their name are
    found.

    Args:
        place: a path or a URI, read from a file's key.

    Raises:
        UserError: an unset variable, a user without a home folder, a NUL character, or `s3:/` instead of `s3://`.
    """
    with located(file, key):
        return _expanded(os.fspath(place))


def _expanded(text: str) -> str:
    if "\0" in text:
        raise UserError("a path with a NUL character", found=repr(text), expected="a path")
    is_uri = "://" in text
    if _ONE_SLASH.match(text) and not os.path.lexists(text):
        raise UserError("an address with one slash", found=text, expected="two: s3://bucket/folder")
    literal = 0 if is_uri or "$" not in text else _length_that_exists(text)
    if "$" in text[literal:]:
        text = text[:literal] + _VARIABLE.sub(lambda found: _variable(found, text), text[literal:])
    if text.startswith("~") and not is_uri:
        text, given = os.path.expanduser(text), text
        if text.startswith("~"):
            raise UserError("no such home folder", found=given, expected="a user with a home, or a full path")
    return text


def _length_that_exists(path: str) -> int:
    """Length of the longest prefix of whole path components that exists."""
    length = 0
    for part in re.finditer(r"/*[^/]+", path):
        if not os.path.lexists(path[: part.end()]):
            break
        length = part.end()
    return length


def _variable(found: re.Match[str], text: str) -> str:
    name = found[1] or found[2]
    value = os.environ.get(name)
    if value is None:
        raise UserError("a variable that isn't set", found=text, expected=f"{name} in the environment")
    return value


def files(pattern: str) -> list[Path]:
    """The files that a path or pattern matches, sorted by name, each once.

    A path that exists exactly as written is that file, even with brackets, stars or question marks; only a path that
    doesn't exist is a pattern (`*`, `?`, `[...]`, and `**` for subfolders; links to folders are not followed).

    Raises:
        UserError: a folder, no file at all, or more files than MATCHES.
    """
    place = expand(pattern)
    if os.path.isdir(place):
        expected = f"{place.rstrip('/')}/* or a longer pattern"
        raise UserError("a folder where files are expected", found=place, expected=expected)
    found = [place] if os.path.isfile(place) else []
    for match in () if found else _matches(Path(place)):
        if match.is_file():
            found.append(str(match))
        if len(found) > MATCHES:
            raise UserError("a pattern that matches too many files", found=place, expected=f"at most {MATCHES:,}")
    if not found:
        raise UserError("no such files", found=place, expected="at least one file")
    return [Path(match) for match in sorted(dict.fromkeys(os.path.realpath(match) for match in found))]


def _matches(pattern: Path) -> Iterator[Path]:
    fixed = list(itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    rest = pattern.parts[len(fixed) :]
    if not rest:
        return
    root, hidden = Path(*fixed), any(part.startswith(".") for part in rest)
    try:
        for match in root.glob("/".join(rest)):  # pathlib, because the glob module's `**` follows links, even loops
            if hidden or not any(part.startswith(".") for part in match.relative_to(root).parts):
                yield match
    except ValueError as error:
        raise UserError("not a pattern", found=str(pattern), expected=str(error)) from error


def check_name(name: str, *, file: object = None, key: str | None = None) -> str:
    """Checks and returns `name`, a path component: up to 128 letters, digits and `._+=-`, not beginning with a dot.

    Raises:
        UserError: any other name, so that no name leaves its folder, is hidden or looks like an option.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserError(
            "not a name", file=file, key=key, found=repr(name),
            expected="1 to 128 letters, digits and . _ + = -, beginning with a letter or digit and not ending in a dot",
        )  # fmt: skip
    return name
