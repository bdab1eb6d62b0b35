"""How often a run gives a sign of life, and how long it may be silent, by the kind of its store.

A disk answers at once, or is broken. A store behind a network may not answer for a while, and that must kill nothing: it
is given minutes. The price is that a run whose machine has died is taken over minutes later.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from repro.store.folder import Folder
from repro.store.outage import PATIENCE

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
