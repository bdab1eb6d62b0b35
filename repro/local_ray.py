"""A Ray of this machine alone, which ends with this process and answers nobody else.

Ray by itself keeps its token in ~/.ray/auth_token, readable by all, its files in /tmp/ray, writable by all, and its
servers listen on every interface. Ours has a new token in the environment of its own processes and no file, a folder
that only its user may enter, and servers on the loopback; docs/security.md says what is left.
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
LONGEST_PARENT = 24  # bytes of the folder above Ray's, whose sockets' paths may have 103 on macOS and 107 on Linux
_replaced: dict[str, str | None] = {}  # what the environment had before


def start(cores: int | None, **options: Any) -> None:
    """Starts it with so many CPUs, None being all; its workers import this checkout. options: of `ray.init`."""
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
            # Ray waits for 30 s, which a machine that is busy with other work may exceed.
            if not again or "timed out during startup" not in str(error):
                raise


def stop() -> None:
    """Ends it, if it was started here, or leaves the cluster that was joined; the environment is as it was before."""
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
    """Sets what Ray's processes inherit: a new token, and that they listen on the loopback alone."""
    from ray._private import ray_constants

    mine = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),  # comes before RAY_AUTH_TOKEN_PATH and ~/.ray/auth_token
        # Without it Ray takes the address that other machines see, whatever it is told, and its servers every interface.
        ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0",
    }
    loopbacks = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
    if loopbacks and "GLOO_SOCKET_IFNAME" not in os.environ:
        mine["GLOO_SOCKET_IFNAME"] = loopbacks[0]  # of worker groups; else the interface of the machine's name
    for name, value in mine.items():
        _replaced.setdefault(name, os.environ.get(name))
        os.environ[name] = value
    ray_constants.ENABLE_RAY_CLUSTER = False  # read from the environment when Ray was imported
    _forget_token()


def _forget_token() -> None:
    """Lets Ray look for mode and token anew: this process may have had others."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]  # compiled

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _folder() -> str:
    """A folder for Ray's sockets, logs and objects that nobody else may enter, removed at the end."""
    parent = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(os.fsencode(parent)) > LONGEST_PARENT:
        parent = "/tmp"
    made = tempfile.mkdtemp(prefix="ray-", dir=parent)
    atexit.register(_remove, made)
    return f"{made}/r"  # which Ray makes, and opens to all


def _remove(folder: str) -> None:
    import ray

    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
    time.sleep(0.1)  # an agent that has only begun may still write a file, and make its folder anew
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _deaf_to_hangups() -> Iterator[None]:
    """Ray's processes ignore SIGHUP: a terminal that closes tells this process, which lets the runs save and stop."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
