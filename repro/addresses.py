"""The address of a Ray cluster: held against its form, and asked first, since Ray itself would wait for minutes."""

from __future__ import annotations

import re
import socket

from repro.errors import UserError

PATIENCE = 5.0  # seconds for a connection
_PLACE = re.compile(
    r"(?:ray://)?(?P<host>[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})"
)
_FOUND_BY_RAY = ("auto", "local")


def check(address: str, *, key: str = "RAY_ADDRESS") -> tuple[str, int] | None:
    """Host and port of `HOST:PORT` or `ray://HOST:PORT`; None for `auto` and `local`, which Ray finds by itself.

    Raises:
        UserError: it is neither, the URL of a dashboard say.
    """
    if address in _FOUND_BY_RAY:
        return None
    found = _PLACE.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 65536:
        dashboard = address.lower().startswith(("http://", "https://"))
        raise UserError(
            "the address of a dashboard, not of a cluster's head" if dashboard else "not the address of a Ray cluster",
            key=key,
            found=repr(address),
            expected="HOST:PORT, head:6379 say" + ("; a dashboard's is for `cluster submit`" if dashboard else ""),
        )
    return found["host"].strip("[]"), int(found["port"])


def answers(address: str, *, key: str = "RAY_ADDRESS") -> bool:
    """Whether something listens there; True of what Ray finds by itself. Raises UserError as `check` does."""
    place = check(address, key=key)
    if place is None:
        return True
    try:
        socket.create_connection(place, timeout=PATIENCE).close()
    except (OSError, UnicodeError):  # of a name that no encoding for names takes
        return False
    return True


def reach(address: str, *, key: str = "RAY_ADDRESS") -> None:
    """Holds that something listens there. Raises UserError, within seconds, where it doesn't or `check` refuses it."""
    if not answers(address, key=key):
        raise UserError(
            "no Ray cluster answers",
            key=key,
            found=f"nothing listens at {address}",
            expected="HOST:PORT of the head of a cluster that runs, as `ray start --head` printed it",
        )
