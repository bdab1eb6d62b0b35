"""UserError, the one exception meant for users: it becomes a message and exit code 2."""

from __future__ import annotations

import contextlib
import errno
import functools
from collections.abc import Callable, Iterator
from typing import Any

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class UserError(Exception):
    """An error in the user's input; nothing was trained or overwritten.

    Args:
        message: what is wrong, in one sentence.
        file, key: where the value was read from, and its dotted key there, if any.
        found, expected: the value found, and what is expected instead.
    """

    def __init__(
        self,
        message: str,
        *,
        file: object = None,
        key: str | None = None,
        found: object = None,
        expected: object = None,
    ):
        self.message, self.file, self.key, self.found, self.expected = message, file, key, found, expected
        particulars = {"file:": file, "key:": key, "found:": found, "expected:": expected}
        lines = [f"  {name:<9} {value}" for name, value in particulars.items() if value is not None]
        super().__init__("\n".join([message, *lines]))

    def but(self, **changed: Any) -> UserError:
        """A copy of this error with other attributes, by the names of the arguments."""
        return UserError(**(vars(self) | changed))

    def located(self, file: object = None, key: str | None = None) -> UserError:
        """This error with `file`, and its key prefixed by `key`; unchanged if it has a file already."""
        if self.file is not None or not (file or key):
            return self
        inner = self.key or ""
        dot = "." if key and inner and not inner.startswith("[") else ""
        return self.but(file=file, key=f"{key or ''}{dot}{inner}" or None)

    def __reduce__(self) -> tuple[Callable[..., UserError], tuple[str, ...]]:
        # Ray and multiprocessing pickle exceptions: attributes become text, whatever their type.
        as_text: dict[str, Any] = {name: None if value is None else str(value) for name, value in vars(self).items()}
        return (functools.partial(UserError, **as_text), ())


@contextlib.contextmanager
def located(file: object, key: str | None) -> Iterator[None]:
    """Adds `file`, and `key` before its own key, to UserErrors that don't have a file."""
    try:
        yield
    except UserError as error:
        if file is None and key is None:
            raise
        raise error.located(file, key) from error
