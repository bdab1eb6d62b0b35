"""A network of a test: namespaces on a bridge, each with its own address, as machines have."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator

SUBNET = "10.77.0"
BRIDGE = "sweeps0"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """Namespaces on one bridge, whose own address `outside` is that of this machine. Needs root and iproute2."""

    outside = f"{SUBNET}.254"

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> tuple[str, list[str]]:
        """A new namespace: its address, and the words that go before a command to run it in there."""
        self.count += 1
        name, link, address = f"{BRIDGE}-{self.count}", f"{BRIDGE}v{self.count}", f"{SUBNET}.{self.count}"
        ip("netns", "add", name)
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", link, "master", BRIDGE, "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        return address, ["ip", "netns", "exec", name]


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """Makes the bridge; at the end all that was added is removed."""
    _clear()  # what a killed test has left
    ip("link", "add", BRIDGE, "type", "bridge")
    try:
        ip("addr", "add", f"{Network.outside}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        yield Network()
    finally:
        _clear()


def _clear() -> None:
    listed = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    for name in re.findall(rf"^{BRIDGE}-\d+", listed, re.MULTILINE):
        ip("netns", "del", name)
    with contextlib.suppress(subprocess.CalledProcessError):  # there is none
        ip("link", "del", BRIDGE)
