"""python -m cluster fetch: copies a sweep's tables from the cluster to a local folder."""

from __future__ import annotations

import argparse
import os
import re
import shutil
from typing import Any

from pyarrow import fs

from cluster.client import DASHBOARD, JOB, NOTES, OF_DASHBOARD, connect, details
from repro.console import commands
from repro.console.options import OUT, earlier
from repro.errors import UserError
from repro.paths import check_name
from repro.store import transfer
from repro.store.folder import Folder

RECORD = "sweep.json"
RECORD_BYTES = 64 << 20  # maximum size: it is read as a whole
MOST = 500_000  # files; the largest sweep here makes some 10,000
NOT_RESULTS = re.compile(r"^lease-\d+\.json$|^stop-|\.tmp$")  # coordination between drivers, and partial writes


EXAMPLES = (
    ("quick-1122-101530", "the tables of a submitted sweep, to results/quick; again, only what changed"),
    ("s3://bucket/results/quick --out here --checkpoints", "from a store, with the checkpoints"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb fetch."""
    does = "Copies the tables of a sweep to this machine; again, only those that changed."
    command = commands.add(verbs, "fetch", does, EXAMPLES, notes=NOTES)
    source = "id of a submitted job, or the URI of a sweep's results folder"
    command.add_argument("source", metavar="ID|URI", help=source)
    OUT.add(command, "on this machine", default_is="results/NAME")
    earlier(command, "--to", "--out")
    command.add_argument("--checkpoints", action="store_true", help="copy the checkpoints too")
    DASHBOARD.add(command, default_is=OF_DASHBOARD)
    earlier(command, "--address", "--dashboard")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Fetches. Returns the exit code."""
    source = locate(given.source, given.dashboard)
    name = check_name(source.name, file=source, key="ID|URI")
    target = Folder.open(f"results/{name}" if given.out is None else given.out, key="--out")
    fetched, size, same = fetch(source, target, checkpoints=given.checkpoints)
    print(f"{name}: {fetched} files fetched, {size / 1e6:,.1f} MB, {same} unchanged -> {target}")
    if target.exists("runs.parquet"):
        print(f"  python -m analysis report {target}")
    else:
        print("  no tables yet: the driver joins them when it ends; python -m sweeps status shows how far it is")
    return 0


def locate(source: str, address: str | None = None) -> Folder:
    """The results folder given by a URI, a path or a submitted job.

    Raises:
        UserError: it holds no sweep's results, or can't be reached from here.
    """
    place = source
    if JOB.fullmatch(source) and not os.path.isdir(source):
        client, address = connect(address)
        found = (details(client, source).metadata or {}).get("results", "")
        if not found:
            raise UserError("not a job of `cluster submit`", key="ID", found=source, expected="an id that it printed")
        place = _told(found, source)
    try:
        folder = Folder.open(place)
        if folder.exists(RECORD):
            return folder
    except (OSError, ValueError) as error:  # no server there, no rights, or no URI
        raise UserError("the results can't be reached", file=place, found=str(error).splitlines()[0]) from None
    if folder.is_local and place != source:
        what, found = "the results are on the cluster's own disk", "no such folder on this machine"
        copied = f"rsync -a --exclude checkpoint HEAD:{place}/ results/{folder.name}/ (or `kubectl cp`)"
        expected = f"{copied}; or --results with a URI when the sweep is submitted"
        raise UserError(what, file=place, found=found, expected=expected)
    raise UserError("no sweep's results here", file=place, found="no such file", expected=RECORD)


def _told(place: str, job: str) -> str:
    """The results folder recorded by a job: an absolute path or a URI, as written by `submit`, without shell expansion."""
    if not place.isprintable() or "$" in place or not (place.startswith("/") or "://" in place):
        what = "a job that doesn't say where its results are"
        raise UserError(what, key=job, found=repr(place)[:300], expected="a URI or an absolute path")
    return place


def fetch(source: Folder, target: Folder, *, checkpoints: bool = False) -> tuple[int, int, int]:
    """Copies missing and changed files atomically. Returns the numbers of files copied, of bytes, and of unchanged files.

    Raises:
        UserError: `target` isn't a local folder, or holds another sweep; or the source isn't a sweep's results: a name
            that leaves its folder, too many files, more than fits on this disk.
    """
    if not target.is_local or (source.is_local and os.path.realpath(source.path) == os.path.realpath(target.path)):
        expected = "another folder on this machine"
        raise UserError("not a folder to fetch to", key="--out", found=target, expected=expected)
    target.check_writable(key="--out")
    name = _sweep(source)
    found = _sweep(target) if target.exists(RECORD) else name
    if found != name:
        raise UserError("the folder holds another sweep", key="--out", found=f"{found} in {target}", expected=name)
    wanted = _wanted(source, checkpoints)
    todo = [(path, info) for path, info in wanted if not _is_here(target, path, info)]
    _hold_room(target, source, sum(info.size for _, info in todo))
    size = 0
    for path, info in todo:
        while True:
            transfer.copy(source, path, target)
            now = source.filesystem.get_file_info(info.path)
            if now.type != fs.FileType.File:
                what = "a file that disappeared meanwhile"
                raise UserError(what, file=source, found=path, expected="the same command again")
            if (now.size, now.mtime_ns) == (info.size, info.mtime_ns):
                break
            info = now  # it was replaced meanwhile, so the copy may be partial
        os.utime(f"{target.path}/{path}", ns=(info.mtime_ns, info.mtime_ns))
        size += info.size
    return len(todo), size, len(wanted) - len(todo)


def _sweep(folder: Folder) -> str:
    """The name of the sweep in a results folder."""
    size = folder.filesystem.get_file_info(f"{folder.path}/{RECORD}").size
    if (size or 0) > RECORD_BYTES:
        what = "not a sweep's record"
        expected = f"at most {RECORD_BYTES >> 20} MiB"
        raise UserError(what, file=f"{folder}/{RECORD}", found=f"{size / 2**20:,.0f} MiB", expected=expected)
    found = folder.read_json(RECORD)
    name = found.get("name") if isinstance(found, dict) else None
    return check_name(name if isinstance(name, str) else "", file=f"{folder}/{RECORD}", key="name")


def _is_here(target: Folder, path: str, info: fs.FileInfo) -> bool:
    local = f"{target.path}/{path}"
    if os.path.realpath(local) != os.path.realpath(target.path) + "/" + path:
        raise UserError("a link in the place of a file", key="--out", found=local, expected="a folder without links")
    return os.path.exists(local) and (os.stat(local).st_size, os.stat(local).st_mtime_ns) == (info.size, info.mtime_ns)


def _hold_room(target: Folder, source: Folder, size: int) -> None:
    os.makedirs(target.path, exist_ok=True)
    free = shutil.disk_usage(target.path).free
    if size > free:
        expected = f"at most {free / 1e9:,.1f} GB, what is free at {target}"
        raise UserError("too little disk space", file=source, found=f"{size / 1e9:,.1f} GB", expected=expected)


def _wanted(source: Folder, checkpoints: bool) -> list[tuple[str, fs.FileInfo]]:
    """The files to copy: those of runs first, then the tables joined from them, and sweep.json last."""
    found = []
    for path, info in transfer.files(source):
        parts = path.split("/")
        if NOT_RESULTS.search(parts[-1]) or ("checkpoint" in parts and not checkpoints):
            continue
        found.append((path, info))
        if len(found) > MOST:
            raise UserError("too many files", file=source, found=f"over {MOST:,}", expected="the files of a sweep")
    return sorted(found, key=lambda one: (one[0] == RECORD, "/" not in one[0], one[0]))
