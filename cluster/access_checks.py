"""The doctor's checks of access: who reaches ports, tokens and shared folders. No Ray; cluster/doctor.py queries the nodes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster.checks import Facts, Finding, count

PORTS = {6379: "GCS", 8265: "dashboard"}
LOOPBACK = ("127.", "::1", "::ffff:127.")


def ports(nodes: Facts, joined: bool) -> Iterator[Finding]:
    """Ports of GCS and dashboard: free before a cluster starts; afterwards the dashboard on loopback only."""
    quiet = True
    for node, fact in nodes.items():
        for address, port, process in fact["listens"]:
            name = PORTS.get(port)
            local = address.startswith(LOOPBACK)
            if name is None or (joined and (local or (name == "GCS" and len(nodes) > 2))):
                continue
            quiet = False
            by = f" by {process}" if process else ""
            said = f"port {port} ({name}) on {node} is taken{by} at {address}"
            if not local:
                said += ", which others can reach"
            advice = "bind it to 127.0.0.1 (--dashboard-host), stop it, or start Ray on other ports"
            yield Finding("ports", "warning", said, advice)
    if quiet:
        free = f"{', '.join(map(str, PORTS))} are free"
        yield Finding("ports", "ok", "no port of Ray open to others" if joined else free)


def tokens(nodes: Facts) -> Iterator[Finding]:
    """Token authentication on every node, and a token file readable only by its owner."""
    without = [node for node, fact in nodes.items() if not fact["tokens"]]
    if without:
        said = f"authentication is off on {', '.join(without)}: anyone who reaches a port can run code"
        advice = "RAY_AUTH_MODE=token, and a token (`ray get-auth-token --generate`), before Ray starts"
        yield Finding("tokens", "fault", said, advice)
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if not os.environ.get("RAY_AUTH_TOKEN") and path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("tokens", "warning", f"others may read {path}", f"chmod 600 {path}")
    else:
        yield Finding("tokens", "ok", f"authentication is on, on {count(nodes)}")


def storage(what: str, uri: str, why_not: Mapping[str, str], unread: Mapping[str, list[str]]) -> Iterator[Finding]:
    """A folder that every node can write to, and where each reads the others' files.

    Args:
        what: results or corpus. uri: its address.
        why_not: node -> why it couldn't write.
        unread: node -> the nodes whose files it couldn't read.
    """
    for node, why in why_not.items():
        advice = "permissions, credentials, space, or another folder"
        yield Finding(what, "fault", f"{node} can't write to {uri}: {why}", advice)
    for node, others in unread.items():
        advice = "it isn't shared: mount one file system at this path on every node, or use an object store"
        yield Finding(what, "fault", f"{node} doesn't see at {uri} what {', '.join(others)} wrote", advice)
    if not why_not and not unread:
        yield Finding(what, "ok", f"every node reads and writes {uri}")
