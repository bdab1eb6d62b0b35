"""A private local Ray, which ends with this process and serves nobody else.

By default Ray keeps its token in ~/.ray/auth_token, readable by everybody, and its files in /tmp/ray, writable by
everybody, and its servers listen on every interface. This one has a new token that is only in its processes'
environment, a folder that only its user can enter, and servers on the loopback interface; docs/security.md lists the
remaining risks.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
LONGEST_PARENT = 24  # bytes of Ray's parent folder: socket paths are limited to 103 bytes on macOS and 107 on Linux
_replaced: dict[str, str | None] = {}  # previous values of environment variables


def start(cores: int | None, **options: Any) -> None:
    """Starts Ray with this many CPUs (None: all); its workers import this checkout. options: passed to `ray.init`."""
    import ray

    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    for again in (True, True, False):
        _shut_in()
        try:
            with _deaf_to_hangups():
                ray.init(
                    address="local",
                    num_cpus=cores,
                    include_dashboard=False,
                    dashboard_host=LOOPBACK,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _node_ip_address=LOOPBACK,
                    _temp_dir=_folder(),
                    **options,
                )
            return
        except Exception as error:
            stop()
            # Ray waits for 30 s, which may be too short on a busy machine.
            if not again or "timed out during startup" not in str(error):
                raise


def stop() -> None:
    """Stops a Ray that was started here, or disconnects from a cluster; restores the environment."""
    import ray
    from ray._private import ray_constants

    ray.shutdown()
    for name, value in _replaced.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if _replaced:
        _replaced.clear()
        ray_constants.ENABLE_RAY_CLUSTER = not ray_constants.IS_WINDOWS_OR_OSX
        _forget_token()


def _shut_in() -> None:
    """Sets what Ray's processes inherit: a new token, and listening only on the loopback interface."""
    from ray._private import ray_constants

    mine = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),  # takes precedence over RAY_AUTH_TOKEN_PATH and ~/.ray/auth_token
        # Otherwise Ray ignores the given address, uses the public one, and its servers listen on every interface.
        ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0",
    }
    loopbacks = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    if loopbacks and "GLOO_SOCKET_IFNAME" not in os.environ:
        mine["GLOO_SOCKET_IFNAME"] = loopbacks[0]  # for worker groups; default: the interface of the host name
    for name, value in mine.items():
        _replaced.setdefault(name, os.environ.get(name))
        os.environ[name] = value
    ray_constants.ENABLE_RAY_CLUSTER = False  # Ray reads the environment only when it is imported
    _forget_token()


def _forget_token() -> None:
    """Makes Ray read authentication mode and token again: this process may have had others."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _folder() -> str:
    """A folder for Ray's sockets, logs and objects that only this user can enter, removed at exit."""
    parent = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(os.fsencode(parent)) > LONGEST_PARENT:
        parent = "/tmp"
    made = tempfile.mkdtemp(prefix="ray-", dir=parent)
    atexit.register(_remove, made)
    return f"{made}/r"  # Ray creates it, accessible to everybody


def _remove(folder: str) -> None:
    import ray

    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
    time.sleep(0.1)  # an agent that is still starting may recreate its folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _deaf_to_hangups() -> Iterator[None]:
    """Makes Ray's processes ignore SIGHUP: when a terminal closes, this process lets the runs save and stop."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
