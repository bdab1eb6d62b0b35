"""A checkpoint's manifest, treated as untrusted input: everything is checked before it becomes a path, loop or memory.

Its seal detects damage but doesn't authenticate: anybody can seal a manifest. So file names have one of three forms,
numbers are bounded integers, the ranges of each tensor cover it without gap or overlap, and each file is a regular file
of plausible size with the right hash.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from pyarrow import fs

from repro.bounds import EVENTS
from repro.errors import UserError
from repro.store.folder import Folder
from repro.store.outage import outlast

FORMAT = 2
FILE, MASKS, ROWS = "manifest.json", "masks.safetensors", "rows.json"
REMOVALS = "removals.safetensors"  # of runs that ask when a weight was removed
KEYS = {"format", "step", "identity", "updates", "world", "zero_stage", "layout", "files", "seal"}
CHUNK = 2**23  # bytes hashed at once
LONGEST = 2**28  # maximum bytes of a manifest
MOST_ROWS = 2**30  # maximum bytes of rows.json
MOST = 2**44  # maximum weights of a tensor
RANKS = 2**20
_RANK = re.compile(r"rank-(0|[1-9]\d{0,6})\.safetensors")
_STEP = re.compile(r"step-\d{8}")
_TENSOR = re.compile(r"\w[\w.]{0,255}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}")


def remove(place: Folder) -> None:
    """Removes a checkpoint, its manifest first, so that a partly removed folder doesn't count."""
    place.delete(FILE)
    place.delete()


def name_of(step: int) -> str:
    """The folder of the checkpoint before the forward pass of `step`."""
    return f"step-{step:08d}"


def steps_in(folder: Folder) -> list[str]:
    """Sorted names of the checkpoints in a folder, complete or not; other entries are ignored."""
    return [name for name in folder.names() if _STEP.fullmatch(name)]


def newest(run: Folder) -> str:
    """Name of the newest checkpoint of a run that was written to its end; "" if there is none."""
    folder = run / "checkpoint"
    return next((name for name in reversed(steps_in(folder)) if (folder / name).exists(FILE)), "")


def put(place: Folder, parts: Mapping[str, bytes]) -> dict[str, str]:
    """Writes files of a checkpoint. Returns their hashes, by name."""
    for file, data in parts.items():
        place.write(file, data)
    return {file: hashlib.sha256(data).hexdigest() for file, data in parts.items()}


def finish(place: Folder, **facts: Any) -> None:
    """Writes the manifest, last, so that the folder counts as a checkpoint. facts: its KEYS but format and seal."""
    place.write_json(FILE, sealed({"format": FORMAT, **facts}))


def sealed(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest with a hash of all its other keys, to detect damage."""
    said = {key: value for key, value in manifest.items() if key != "seal"}
    return said | {"seal": hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()}


def examine(place: Folder, share: tuple[int, int] = (0, 1)) -> tuple[dict[str, Any], str | None]:
    """The manifest of a checkpoint, and what is wrong with the checkpoint: None if all files match their hashes.

    Args:
        share: (i, n): check only every n-th file, beginning with the i-th.
    """
    manifest, fault = _read(place)
    if fault is not None:
        return {}, fault
    for file in sorted(manifest["files"])[share[0] :: share[1]]:
        if fault := _fault_of(place, file, manifest):
            return manifest, fault
    return manifest, None


def sizes(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Number of weights of each tensor in a checkpoint, by name."""
    ends: dict[str, int] = {}
    for layout in manifest["layout"].values():
        for name, (offset, count) in layout.items():
            ends[name] = max(ends.get(name, 0), offset + count)
    return ends


# -------------------------------------------------------------------------------------------------- inside


def _read(place: Folder) -> tuple[dict[str, Any], str | None]:
    if not place.exists(FILE):
        return {}, f"no {FILE}"
    if (size := _plain_size(place, FILE)) is None or size > LONGEST:
        return {}, f"{FILE} is no file of at most {LONGEST:,} bytes"
    try:
        manifest = place.read_json(FILE)
    except UserError:
        return {}, f"{FILE} is not JSON"
    if not isinstance(manifest, dict) or "seal" not in manifest or sealed(manifest) != manifest:
        return {}, f"{FILE} doesn't have its hash"
    if manifest.get("format") != FORMAT:
        return {}, f"{FILE} is of format {str(manifest.get('format'))[:20]}, not {FORMAT}"
    if wrong := next(_wrong(manifest, place.name), None):
        return {}, f"{FILE}: {wrong}"
    return manifest, None


def _wrong(manifest: dict[str, Any], name: str) -> Iterator[str]:
    if set(manifest) != KEYS:
        yield f"its keys are not {', '.join(sorted(KEYS))}"
        return
    step, world = manifest["step"], manifest["world"]
    if not _whole(step, 0, 10**8 - 1) or name_of(step) != name:
        yield f"step is not the one of {name}"
    if manifest["updates"] != step or not _whole(manifest["updates"], 0):
        yield "updates is not step"
    if not _whole(world, 1, RANKS) or not _whole(manifest["zero_stage"], 0, 3):
        yield "world or zero_stage is out of range"
        return
    if not isinstance(manifest["identity"], str) or len(manifest["identity"]) > 200:
        yield "identity is not a short text"
    files, layout = manifest["files"], manifest["layout"]
    if not isinstance(files, dict) or not isinstance(layout, dict):
        yield "files or layout is not a mapping"
        return
    ranks = set(files) - {MASKS, ROWS, REMOVALS}
    for file in sorted(files):
        found = _RANK.fullmatch(file)
        if file in ranks and (not found or int(found[1]) >= world):
            yield f"a file named {file[:80]!r}, not rank-N.safetensors, {MASKS}, {REMOVALS} or {ROWS}"
            return
        if not isinstance(files[file], str) or not _HASH.fullmatch(files[file]):
            yield f"no hash of {file}"
    if not {MASKS, ROWS} <= set(files) or not ranks or ranks != set(layout):
        yield f"files are not those of its layout, {MASKS} and {ROWS}"
        return
    yield from _untiled(layout)


def _untiled(layout: dict[str, Any]) -> Iterator[str]:
    ranges: dict[str, list[tuple[int, int]]] = {}
    for file, held in layout.items():
        if not isinstance(held, dict):
            yield f"layout of {file} is not a mapping"
            return
        for name, interval in held.items():
            if not _TENSOR.fullmatch(name) or not isinstance(interval, list) or len(interval) != 2:
                yield f"layout of {file} has {name[:80]!r}, which is not a tensor with its range"
                return
            if not (_whole(interval[0], 0, MOST) and _whole(interval[1], 1, MOST)):
                yield f"layout of {file} has an invalid range of {name}"
                return
            ranges.setdefault(name, []).append((interval[0], interval[1]))
    for name, found in ranges.items():
        end = 0
        for offset, count in sorted(found):
            if offset != end:
                yield f"layout has a gap or an overlap in {name} at {offset}"
                return
            end += count


def _fault_of(place: Folder, file: str, manifest: dict[str, Any]) -> str | None:
    if not place.exists(file):
        return f"no {file}"
    size, (least, most) = _plain_size(place, file), _bounds(file, manifest)
    if size is None:
        return f"{file} is a link, or no plain file"
    if not least <= size <= most:
        return f"{file} has {size:,} bytes, and what it holds takes {least:,} to {most:,}"
    return None if _hash(place, file) == manifest["files"][file] else f"{file} doesn't have its hash"


def _bounds(file: str, manifest: dict[str, Any]) -> tuple[int, int]:
    """Minimum and maximum file size: three tensors of four bytes per weight, some bits per weight, or rows."""
    if file == ROWS:
        return 0, MOST_ROWS
    bits = {MASKS: 1, REMOVALS: EVENTS.bit_length()}.get(file, 0)
    held = sizes(manifest) if bits else {name: count for name, (_, count) in manifest["layout"][file].items()}
    header = 2**16 + 1024 * len(held) * max(1, bits)
    if bits:  # only prunable tensors have masks
        return 0, header + bits * sum(count // 8 + 1 for count in held.values())
    weights = 12 * sum(held.values())
    return weights, header + weights


def _plain_size(place: Folder, file: str) -> int | None:
    """Size of a regular file; None for links, pipes, devices and the like."""
    if place.is_local:
        found = os.lstat(f"{place.path}/{file}")
        return found.st_size if stat.S_ISREG(found.st_mode) else None
    info = place.info(file)
    return info.size if info.type == fs.FileType.File else None


def _hash(place: Folder, file: str) -> str:
    def hashed() -> str:
        digest = hashlib.sha256()
        with place.filesystem.open_input_stream(f"{place.path}/{file}") as stream:
            while data := stream.read(CHUNK):
                digest.update(data)
        return digest.hexdigest()

    return outlast(hashed)


def _whole(value: object, least: int, most: int | None = None) -> bool:
    return type(value) is int and value >= least and (most is None or value <= most)
