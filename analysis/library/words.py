"""Rewords errors and warnings for callers in Python: options of the commands become arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from repro.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")
_COLUMNS = re.compile(r"(?<!\S)--columns (?=\S)")  # names of columns are arguments themselves
_OPTION = re.compile(r"(?<![\w-])--(?=[a-z])")


def in_python(text: str) -> str:
    """`--sigma` as `sigma`, and `--columns N=params` as `N=params`."""
    return _OPTION.sub("", _COLUMNS.sub("", text))


def for_python(call: Callable[P, T]) -> Callable[P, T]:
    """The same function, whose UserErrors name arguments instead of options."""

    @wraps(call)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except UserError as error:
            key = None if error.key is None else in_python(error.key)
            expected = in_python(error.expected) if isinstance(error.expected, str) else error.expected
            raise error.but(message=in_python(error.message), key=key, expected=expected) from error

    return called
