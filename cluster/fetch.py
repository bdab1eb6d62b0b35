"""python -m cluster fetch: a sweep's tables from where it was trained to a folder here."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from pyarrow import fs

from cluster.client import ADDRESS, connect, details
from repro import transfer
from repro.errors import UserError
from repro.storage import Folder

RECORD = "sweep.json"
NOT_RESULTS = re.compile(r"^lease-\d+\.json$|^stop-|\.tmp$")  # what drivers tell each other, what is half written


def add_parser(verbs: Any) -> None:
    """Adds the verb fetch."""
    command = verbs.add_parser("fetch")
    command.add_argument("source", metavar="ID|URI", help="a submitted job, or the URI of a sweep's results folder")
    command.add_argument("--to", metavar="DIR", help="where to (results/NAME)")
    command.add_argument("--checkpoints", action="store_true", help="bring the checkpoints too")
    command.add_argument("--address", metavar="URL", help=f"of the cluster's dashboard ({ADDRESS})")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Fetches. Returns the exit code."""
    source = locate(given.source, given.address)
    target = Folder.open(given.to or f"results/{source.name}")
    fetched, size, same = fetch(source, target, checkpoints=given.checkpoints)
    print(f"{source.name}: {fetched} files fetched, {size / 1e6:,.1f} MB, {same} unchanged -> {target}")
    if target.exists("runs.parquet"):
        print(f"  python -m analysis report {target}")
    else:
        print("  no tables yet: the driver joins them when it ends; python -m sweeps status shows how far it is")
    return 0


def locate(source: str, address: str | None = None) -> Folder:
    """The results folder of a URI, of a path, or of a submitted job.

    Raises:
        UserError: no sweep's results are there, or none that can be reached from here.
    """
    place = source
    if "://" not in source and not os.path.isdir(source):
        client, address = connect(address)
        place = (details(client, source).metadata or {}).get("results", "")
        if not place:
            raise UserError("not a job of `cluster submit`", key="ID", found=source, expected="an id that it printed")
    try:
        folder = Folder.open(place)
        if folder.exists(RECORD):
            return folder
    except (OSError, ValueError) as error:  # no server there, no rights, or no URI
        raise UserError("the results can't be reached", file=place, found=str(error).splitlines()[0]) from None
    if folder.is_local and place != source:
        raise UserError(
            "the results are on the cluster's own disk",
            file=place,
            found="no such folder on this machine",
            expected=f"rsync -a --exclude checkpoint HEAD:{place}/ results/{folder.name}/ (or `kubectl cp`); or --results "
            "with a URI when the sweep is submitted",
        )
    raise UserError("no sweep's results here", file=place, found="no such file", expected=RECORD)


def fetch(source: Folder, target: Folder, *, checkpoints: bool = False) -> tuple[int, int, int]:
    """Copies what is not there yet, each file whole. Returns files copied, their bytes, and files left as they were.

    Raises:
        UserError: `target` is no local folder, or holds another sweep.
    """
    if not target.is_local or (source.is_local and os.path.realpath(source.path) == os.path.realpath(target.path)):
        raise UserError("not a folder to fetch to", key="--to", found=target, expected="another folder on this machine")
    name = source.read_json(RECORD)["name"]
    found = target.read_json(RECORD)["name"] if target.exists(RECORD) else name
    if found != name:
        raise UserError("another sweep lies here", key="--to", found=f"{found} in {target}", expected=name)
    fetched = size = same = 0
    for path, info in _wanted(source, checkpoints):
        local = f"{target.path}/{path}"
        if os.path.exists(local) and (os.stat(local).st_size, os.stat(local).st_mtime_ns) == (info.size, info.mtime_ns):
            same += 1
            continue
        while True:
            transfer.copy(source, path, target)
            now = source.filesystem.get_file_info(info.path)
            if (now.size, now.mtime_ns) == (info.size, info.mtime_ns):
                break
            info = now  # it was replaced meanwhile, and what is here may be a part of the new one
        os.utime(local, ns=(info.mtime_ns, info.mtime_ns))
        fetched, size = fetched + 1, size + info.size
    return fetched, size, same


def _wanted(source: Folder, checkpoints: bool) -> Iterator[tuple[str, fs.FileInfo]]:
    """The files to bring; those of runs before the tables that were joined from them, what names them all last."""
    found = []
    for path, info in transfer.files(source):
        parts = PurePosixPath(path).parts
        if ".." in parts:
            raise UserError("a name that leaves its folder", file=source, found=path, expected="no .. in it")
        if not NOT_RESULTS.search(parts[-1]) and (checkpoints or "checkpoint" not in parts):
            found.append((path, info))
    return iter(sorted(found, key=lambda one: (one[0] == RECORD, "/" not in one[0], one[0])))
