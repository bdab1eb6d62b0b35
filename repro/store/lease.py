"""Leases: among several drivers on one results folder, exactly one trains a run.

A lease is a file `lease-N.json` in the run's folder, created atomically, so that only one driver can hold it. The
holder rewrites it at every beat and removes it at the end. A holder is dead when its process is gone or, where that can't
be checked (another host or container), when its file hasn't changed for as long as its holder says in it (`silence`), on
the observer's clock; then the next driver creates lease N + 1.

How long that is depends on the store (`rhythm_of`): on a disk a beat of 2 s and a silence of 30 s; behind a network 5 s and
180 s, because such a store may fail for a while. A holder that finds a higher number, or that for half of its silence
can't write, kills its process: so it ends well before anybody may declare it dead, and two processes never write to one
folder. A disk may thus fail for 15 s and another store for 90 s, and nothing dies.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import psutil

from repro.errors import UserError
from repro.patience import within
from repro.store import processes
from repro.store.folder import Folder
from repro.store.outage import PATIENCE
from repro.store.run_folder import RunFolder

LAST = 999_999
# File systems of one machine; every other one (nfs, lustre, ceph, cifs, fuse ...) is behind a network, or may be.
DISKS = {"apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "ntfs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}  # fmt: skip


@dataclass(frozen=True)
class Rhythm:
    """beat: seconds between two signs of life. silence: seconds without one after which a holder counts as dead."""

    beat: float
    silence: float


DISK = Rhythm(beat=2.0, silence=30.0)
NETWORK = Rhythm(beat=5.0, silence=PATIENCE)


def rhythm_of(folder: Folder) -> Rhythm:
    """The rhythm of runs in this folder."""
    return DISK if folder.is_local and _file_system(folder.path) in DISKS else NETWORK


def _file_system(path: str) -> str:
    """Type of the file system on which a path lies or would lie; "" if unknown."""
    place, found = os.path.realpath(path), ("", "")
    for part in psutil.disk_partitions(all=True):
        root = part.mountpoint.rstrip("/")
        if (place == root or place.startswith(f"{root}/")) and len(root) >= len(found[0]):
            found = (root, part.fstype)
    return found[1]


@dataclass(frozen=True)
class Held:
    """An existing lease. name: its file name. said: its contents, as written by its holder; empty if damaged."""

    name: str
    said: dict[str, Any]


def newest(run: RunFolder) -> Held | None:
    """The lease of a run with the highest number; None if there is none."""
    names = [name for name in run.folder.names() if re.fullmatch(r"lease-\d{6}\.json", name)]
    for name in reversed(names):
        try:
            said = run.folder.read_json(name)
            return Held(name, said if isinstance(said, dict) else {})
        except FileNotFoundError:  # its holder has removed it since it was listed
            continue
        except UserError:  # damaged: the lease counts, until it hasn't changed for long
            return Held(name, {})
    return None


@dataclass
class Looker:
    """Distinguishes living from dead holders. Remembers lease contents: dead holders on other hosts stop changing them."""

    _seen: dict[str, tuple[str, float]] = field(default_factory=dict)

    def is_taken(self, run: RunFolder, held: Held | None) -> bool:
        """Whether the holder of `held`, the newest lease of a run, or a worker that it started is alive."""
        if held is None:
            return False
        if self._alive(f"{run.folder}/{held.name}", held.said):
            return True
        status = run.status()
        return status["state"] == "running" and processes.lives(status["owner"], status["updated"]) is True

    def _alive(self, key: str, said: dict[str, Any]) -> bool:
        lives = processes.lives(said, said.get("began"))
        if lives is not None:
            return lives
        text, now = json.dumps(said), time.monotonic()
        before, since = self._seen.get(key, ("", now))
        if before != text:
            self._seen[key] = (text, now)
            return True
        return now - since < _silence(said)


def _silence(said: dict[str, Any]) -> float:
    """The silence that a holder has declared; the longest one if it has declared none, or the lease is damaged."""
    found, longest = said.get("silence"), NETWORK.silence
    return float(found) if isinstance(found, (int, float)) and 0 < found < longest else longest


class Lease:
    """The lease of a run, held by this process between `take` and `give_back`.

    Args:
        run: the run's folder.
        driver: token of the driver for which it is held.
        over: name of the previous lease, whose holder is known to be dead.
    """

    def __init__(self, run: RunFolder, driver: str, over: str | None = None):
        self.run, self.driver, self.over, self.name = run, driver, over, ""
        self.rhythm = rhythm_of(run.folder)
        self._stop = threading.Event()
        self._beats, self._nonce = 0, secrets.token_hex(8)

    def take(self) -> bool:
        """Tries to acquire the lease; returns whether this process holds it now."""
        held = newest(self.run)
        if held is not None and held.name != self.over and Looker().is_taken(self.run, held):
            return False
        number = int(held.name[6:12]) + 1 if held else 1
        if number > LAST:
            raise UserError(
                "no more lease numbers",
                file=f"{self.run.folder}/{held.name if held else ''}",
                expected="this file deleted",
            )
        name = f"lease-{number:06d}.json"
        self._began, self._renewed = time.time(), time.monotonic()
        if not self.run.folder.create(name, self._said()):
            return False
        self.name = name
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return True

    def give_back(self) -> None:
        """Stops the heartbeat and removes the lease and those of earlier, dead holders."""
        self._stop.set()
        self._thread.join()
        if not self._is_mine(newest(self.run)):
            return
        for name in self.run.folder.names():
            if name.startswith("lease-") and name <= self.name:
                self.run.folder.delete(name)

    def _said(self) -> bytes:
        self._beats += 1
        said = {"driver": self.driver, **processes.mine(), "began": self._began, "silence": self.rhythm.silence}
        return json.dumps(said | {"nonce": self._nonce, "beats": self._beats}).encode()

    def _is_mine(self, held: Held | None) -> bool:
        return held is not None and held.said.get("nonce") == self._nonce

    def _beat(self) -> None:
        longest = self.rhythm.silence / 2
        while not self._stop.wait(self.rhythm.beat):
            try:
                is_held = within(longest / 3, self._renew, self.name)  # a call to a store may never return
            except Exception:
                # Whatever it was: a thread that ended here would leave the process without a lease, unsaid.
                is_held = time.monotonic() - self._renewed < longest
            if not is_held and not self._stop.is_set():
                os.kill(os.getpid(), signal.SIGKILL)

    def _renew(self) -> bool:
        """Rewrites the lease, unless another holder has taken over."""
        began = time.monotonic()
        # Checked twice: a store may show an object as missing while it is replaced.
        if not self._is_mine(newest(self.run)) and not self._is_mine(newest(self.run)):
            return False
        self.run.folder.write(self.name, self._said())
        self._renewed = max(self._renewed, began)
        return True
