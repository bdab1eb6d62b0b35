"""UserError, the one exception meant for users: it becomes a message and exit code 2."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from typing import Any

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class UserError(Exception):
    """An error in the user's input; nothing was trained or overwritten.

    Args:
        message: what is wrong, in one sentence.
        file: the file it was read from, if any.
        key: the dotted key inside that file, if any.
        found: the value found.
        expected: what is expected instead.
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
        parts = [message]
        if file is not None:
            parts.append(f"  file:     {file}")
        if key is not None:
            parts.append(f"  key:      {key}")
        if found is not None:
            parts.append(f"  found:    {found}")
        if expected is not None:
            parts.append(f"  expected: {expected}")
        super().__init__("\n".join(parts))

    def but(self, **changed: Any) -> UserError:
        """A copy of this error with other attributes, by the names of the arguments."""
        own: dict[str, Any] = {"file": self.file, "key": self.key, "found": self.found, "expected": self.expected}
        return UserError(**({"message": self.message} | own | changed))

    def located(self, file: object = None, key: str | None = None) -> UserError:
        """This error with `file`, and its key prefixed by `key`; unchanged if it has a file already."""
        if self.file is not None or not (file or key):
            return self
        inner = self.key or ""
        dot = "." if key and inner and not inner.startswith("[") else ""
        return self.but(file=file, key=f"{key or ''}{dot}{inner}" or None)

    def __reduce__(self) -> tuple[Callable[..., UserError], tuple[str | None, ...]]:
        # Ray and multiprocessing pickle exceptions: attributes become text, whatever their type.
        particulars = (self.file, self.key, self.found, self.expected)
        return (_rebuilt, (self.message, *(None if one is None else str(one) for one in particulars)))


@contextlib.contextmanager
def located(file: object, key: str) -> Iterator[None]:
    """Adds `file`, and `key` before its own key, to UserErrors that don't have a file."""
    try:
        yield
    except UserError as error:
        raise error.located(file, key) from error


def _rebuilt(message: str, file: str | None, key: str | None, found: str | None, expected: str | None) -> UserError:
    return UserError(message, file=file, key=key, found=found, expected=expected)
