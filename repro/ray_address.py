"""RAY_ADDRESS, checked before any work is done: its form, and that a Ray cluster answers there."""

from __future__ import annotations

import os
import re
import socket

from repro.errors import UserError
from repro.patience import within

KEY = "RAY_ADDRESS"
EXPECTED = "HEAD:6379 of a cluster, [IPV6]:6379, ray://HEAD:10001, auto, or unset for this machine only"
PATIENCE = 5.0  # seconds to resolve a host and to connect; Ray itself tries for minutes
_PLACE = re.compile(r"(?:ray://)?(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>\d{1,5})")
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # preface and empty SETTINGS


def given() -> str | None:
    """The address in the environment; None if Ray is to be started on this machine."""
    address = os.environ.get(KEY, "").strip()
    return None if address in ("", "local") else address


def check(address: str | None = None) -> None:
    """Checks that a Ray cluster answers at `address` (None: the one in the environment) within seconds.

    Raises:
        UserError: not a Ray address, an unknown host, nothing listening, or something else than a Ray head.
    """
    address = given() if address is None else address.strip()
    if not address:
        return
    if address == "auto":
        _find()
        return
    host, port = parse(address)
    try:
        is_ray = within(2 * PATIENCE, lambda: _greeted(host, port), address)
    except socket.gaierror as error:
        raise UserError("unknown host", key=KEY, found=address, expected=EXPECTED) from error
    except OSError as error:
        why = error.strerror or "no answer"
        raise UserError("nothing listens there", key=KEY, found=f"{address}: {why}", expected=EXPECTED) from error
    if not is_ray:
        expected = "the port of the Ray head, usually 6379; 8265 is the dashboard, for python -m cluster submit"
        raise UserError("the service there is not a Ray head", key=KEY, found=address, expected=expected)


def parse(address: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, [IPV6]:PORT or ray://HOST:PORT.

    Raises:
        UserError: not an address of this form.
    """
    found = _PLACE.fullmatch(address)
    if found and 0 < int(found["port"]) < 65_536:
        return found["six"] or found["host"], int(found["port"])
    message = "not a Ray address"
    if address.startswith(("http://", "https://")):
        message = "a dashboard's address instead of the Ray head's"
    raise UserError(message, key=KEY, found=repr(address), expected=EXPECTED)


def _greeted(host: str, port: int) -> bool:
    """Whether a gRPC server answers, with a SETTINGS frame. Not checked under TLS, which needs a handshake first."""
    with socket.create_connection((host, port), timeout=PATIENCE) as line:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return True
        line.sendall(_HTTP2)
        answer = b""
        while len(answer) < 4 and (more := line.recv(4 - len(answer))):
            answer += more
    return answer[3:4] == b"\4"


def _find() -> None:
    from ray._private.services import get_ray_address_from_environment

    try:
        get_ray_address_from_environment("auto", None)
    except ConnectionError as error:
        raise UserError("Ray isn't running on this machine", key=KEY, found="auto", expected=EXPECTED) from error
