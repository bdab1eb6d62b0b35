"""Outages: a network store may fail for a while; calls wait for it, and no run ends."""

from __future__ import annotations

import errno
import logging
import re
import time
from collections.abc import Callable
from typing import TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")

PATIENCE = 180.0  # seconds for which a failing store is asked again
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds before it is: doubled each time
_ERRNOS = {
    getattr(errno, name, 0)
    for name in ("ESTALE", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENETRESET", "EREMOTEIO")
}
# pyarrow's errors have no type: what the clients of S3 and of Google's store call a failure that may pass.
_SAID = re.compile(
    r"AWS Error (NETWORK_CONNECTION|SLOW_DOWN|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|THROTTLING|REQUEST_TIMEOUT)"
    r"|HTTP status (429|5\d\d)|Status\((UNAVAILABLE|DEADLINE_EXCEEDED)"
)


def may_pass(error: OSError) -> bool:
    """Whether an error means that a store can't be reached or fails at the moment, unlike a missing file or bucket."""
    if isinstance(error, (ConnectionError, TimeoutError)) or error.errno in _ERRNOS:
        return True
    return _SAID.search(str(error)) is not None


def outlast(act: Callable[[], T]) -> T:
    """Returns what `act` does, repeating it for PATIENCE seconds while its store fails. It must be repeatable.

    Raises:
        OSError: one that won't pass, at once, or that hasn't passed within PATIENCE seconds.
    """
    end, pause = time.monotonic() + PATIENCE, FIRST_PAUSE
    while True:
        try:
            return act()
        except OSError as error:
            if not may_pass(error) or time.monotonic() + pause > end:
                raise
            if pause == FIRST_PAUSE:
                log.warning("a store doesn't answer; asking again for %.0f s: %s", PATIENCE, error)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
