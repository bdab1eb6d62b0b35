"""The doctor's checks: each maps facts about nodes to findings. No Ray; cluster/doctor.py queries the nodes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cluster.versions import locked
from repro.resources import Resources
from sweeps.forecast import model_sizes
from sweeps.grid import Sweep
from sweeps.memory import USABLE, checkpoint_bytes, worker_of

Level = Literal["ok", "warning", "fault"]
Facts = Mapping[str, Mapping[str, Any]]  # node -> its cluster/node_facts.py facts

DECISIVE = ("torch", "ray", "deepspeed")  # another version of these changes the numbers, or fails
PYTHONS = ((3, 11), (3, 14))
OPEN_FILES = (4096, 65536)  # below the first is a fault; below the second, Ray's recommendation, a warning
SKEW = (1.0, 5.0)  # seconds: warning, fault; drivers take over runs whose owner has been silent for 30
PROCESS = 1.0e9  # bytes of a worker besides its model: Python, torch, DeepSpeed
LITTLE_DISK = (1e9, 10e9)  # free bytes: fault, warning
PORTS = {6379: "GCS", 8265: "dashboard"}
LOOPBACK = ("127.", "::1", "::ffff:127.")


@dataclass(frozen=True)
class Finding:
    """The result of a check, and advice."""

    check: str
    level: Level
    found: str
    advice: str = ""

    @classmethod
    def judged(cls, check: str, level: Level, found: str, advice: str) -> Finding:
        """A finding with advice unless all is well."""
        return cls(check, level, found, "" if level == "ok" else advice)


def versions(nodes: Facts) -> Iterator[Finding]:
    """Versions of Python and of every package pinned in requirements.lock, on the driver and each node."""
    wanted, pythons, sound = locked(), {node: fact["python"] for node, fact in nodes.items()}, True
    for node, fact in nodes.items():
        python = tuple(map(int, fact["python"].split(".")[:2]))
        if not PYTHONS[0] <= python < PYTHONS[1]:
            yield Finding("versions", "fault", f"Python {fact['python']} on {node}", "Python 3.11 to 3.13 is needed")
        found = fact["versions"]
        for packages in (DECISIVE, tuple(sorted(set(wanted) - set(DECISIVE)))):
            wrong = [
                f"{p} {found.get(p, 'missing')} (pinned: {wanted[p]})" for p in packages if found.get(p) != wanted[p]
            ]
            if wrong:
                sound = False
                level: Level = "fault" if packages is DECISIVE else "warning"
                advice = "pip install --require-hashes --no-deps -r requirements.lock there"
                yield Finding("versions", level, f"{', '.join(wrong)} on {node}", advice)
    if len({p.rsplit(".", 1)[0] for p in pythons.values()}) > 1:
        yield Finding(
            "versions", "fault", f"different Pythons: {pythons}", "use one minor version everywhere; Ray requires it"
        )
    elif sound:
        said = ", ".join(f"{p} {wanted[p]}" for p in DECISIVE)
        yield Finding("versions", "ok", f"Python {next(iter(pythons.values()))}, {said}, as pinned, on {count(nodes)}")


def gpus(nodes: Facts, resources: Resources) -> Iterator[Finding]:
    """CUDA devices and NCCL."""
    found = {node: fact["gpus"] for node, fact in nodes.items() if fact["gpus"]["names"]}
    names = sorted({name for gpu in found.values() for name in gpu["names"]})
    if not names:
        wanted = resources.device == "cuda"
        advice = "nodes with GPUs and a driver, a torch built for CUDA; or resources.device: cpu" if wanted else ""
        yield Finding("gpu", "fault" if wanted else "ok", "no GPU present, no NCCL", advice)
        return
    nccl = sorted({gpu["nccl"] for gpu in found.values()})
    said = f"{sum(len(gpu['names']) for gpu in found.values())} x {', '.join(names)}; NCCL {', '.join(nccl)}"
    level: Level = "warning" if len(names) > 1 or len(nccl) > 1 else "ok"
    yield Finding.judged("gpu", level, said, "a run across different nodes is as slow as the slowest")


def compiler(nodes: Facts, resources: Resources) -> Iterator[Finding]:
    """A C++ compiler, if torch.compile is enabled."""
    without = [node for node, fact in nodes.items() if not fact["compiler"]]
    said = f"none on {', '.join(without)}"
    if not resources.compile:
        yield Finding("compiler", "ok", "not needed: resources.compile is false")
    elif not without:
        yield Finding("compiler", "ok", f"a C++ compiler on {count(nodes)}")
    elif resources.compile == "auto":
        yield Finding("compiler", "warning", said, "install g++ there: runs train faster compiled")
    else:
        yield Finding("compiler", "fault", said, "install g++ there, set CXX, or resources.compile: false")


def memory(nodes: Facts, sweep: Sweep | None) -> Iterator[Finding]:
    """Memory of a node or GPU, checked against the need of the largest model."""
    needs: dict[str, float] = {}
    lanes, device = 1, sweep.resources.device if sweep else "cpu"
    if sweep:
        for size, spec in model_sizes(sweep).items():
            _, micro = sweep.resources.share(spec)
            needs[size] = worker_of(spec, sweep.resources, micro).total
    size, need = max(needs.items(), key=lambda item: item[1], default=("", 0.0))
    for node, fact in nodes.items():
        if node == "driver" and len(nodes) > 1:
            continue
        on_gpu = bool(fact["gpus"]["memory"]) and device != "cpu"
        room = USABLE * min(fact["gpus"]["memory"]) if on_gpu else fact["memory"]
        if not on_gpu and sweep:
            lanes = (
                sweep.resources.lanes or max(1, fact["cores"] // sweep.resources.workers)
            ) * sweep.resources.workers
        wanted = need if on_gpu else lanes * (need + PROCESS)
        workers = "a worker" if on_gpu else f"{lanes} workers at once" if lanes > 1 else "1 worker"
        of = f" of {size}" if size else ""
        said = f"{room / 1e9:.3g} GB available on {node}, about {wanted / 1e9:.3g} GB for {workers}{of} needed"
        advice = "fewer lanes, a smaller resources.micro_batch, a higher zero_stage, or more memory"
        yield Finding.judged("memory", "fault" if wanted > room else "ok", said, advice)


def disk(nodes: Facts, sweep: Sweep | None, results: str | None) -> Iterator[Finding]:
    """Free space in the folders of Ray, corpora and local results."""
    kept = sum(map(checkpoint_bytes, sweep.specs)) if sweep else 0.0
    for node, fact in nodes.items():
        for folder, free in fact["disk"].items():
            need = LITTLE_DISK[0] + (kept if folder == results else 0)
            said = f"{free / 1e9:.3g} GB free at {folder} on {node}"
            if free < need:
                advice = "free space, or another folder (TMPDIR, storage)"
                yield Finding("disk", "fault", f"{said}, at least {need / 1e9:.3g} needed", advice)
            else:
                level: Level = "warning" if free < LITTLE_DISK[1] + need else "ok"
                advice = "little space: Ray spills objects there, corpora are built there"
                yield Finding.judged("disk", level, said, advice)


def open_files(nodes: Facts) -> Iterator[Finding]:
    """The hard limit of open files, to which Ray raises its own."""
    for node, fact in nodes.items():
        _, hard = fact["open_files"]
        if 0 <= hard < OPEN_FILES[1]:
            level: Level = "fault" if hard < OPEN_FILES[0] else "warning"
            yield Finding(
                "open files", level, f"at most {hard} on {node}", f"ulimit -Hn {OPEN_FILES[1]} before Ray starts"
            )
        else:
            yield Finding("open files", "ok", f"{'no limit' if hard < 0 else hard} on {node}")


def clock(skews: Mapping[str, tuple[float, float]]) -> Iterator[Finding]:
    """Clock skew: seconds by which each node is ahead of the driver, and their uncertainty."""
    for node, (skew, unsure) in skews.items():
        off = max(0.0, abs(skew) - unsure)
        said = f"{node} is {abs(skew):.2f} s {'ahead of' if skew > 0 else 'behind'} the driver (± {unsure:.2f})"
        level: Level = "fault" if off > SKEW[1] else "warning" if off > SKEW[0] else "ok"
        advice = "synchronise the clocks with NTP (chrony): a run's owner counts as dead by its last heartbeat"
        yield Finding.judged("clock", level, said, advice)


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


def count(nodes: Facts) -> str:
    """How many nodes there are besides the driver, in words."""
    others = len(nodes) - ("driver" in nodes)
    return f"{others} node{'s' if others > 1 else ''}" if others else "this machine"
