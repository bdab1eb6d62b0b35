"""Creates a new model folder on this machine atomically: complete or not at all, and without paths of this machine in it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from repro.errors import UserError
from repro.models.folder import CARD
from repro.store.folder import Folder
from repro.store.scratch import scratch_prefix

SHARD = "5GB"  # maximum size of a weights file


def check(out: Path) -> None:
    """Raises UserError if there is something at `out` already."""
    if out.exists():
        raise UserError("something of this name exists already", file=out, expected="a new folder, or remove this one")


@contextmanager
def folder(out: Path) -> Iterator[Path]:
    """A folder to write a model with its card to; it is renamed to `out` at the end, unless something is raised.

    Raises:
        UserError: there is something at `out` already.
    """
    check(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    Folder.open(out.parent).tidy()
    with tempfile.TemporaryDirectory(prefix=scratch_prefix(out.name), dir=out.parent) as scratch:
        whole = Path(scratch) / out.name
        whole.mkdir()
        yield whole
        for file in whole.rglob("*.safetensors"):  # the library makes them readable only by their owner
            shutil.copymode(whole / CARD, file)
        whole.rename(out)


_CACHED = re.compile(r"/models--([\w.-]+?)--([\w.-]+)/snapshots/")  # a downloaded model in the Hub's cache
_PLACE = re.compile(r"[/\\~]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|[a-z][a-z0-9+.-]*://|\$")


def without_places(value: Any) -> Any:
    """A spec as JSON, with each path or storage address replaced by its last component, and downloaded models by ids.

    Among keys that are part of the identity, only a tokenizer, dataset or weights in a local folder are paths; the
    spec's fingerprint remains the run's. The file names of a corpus of `files` are labels and are kept.
    """
    if isinstance(value, dict):
        return {key: _names(inner) if key == "paths" else without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_places(inner) for inner in value]
    return _name(value) if isinstance(value, str) and _PLACE.match(value) else value


def _names(paths: Any) -> Any:
    return [_name(path) for path in paths] if isinstance(paths, list) else paths


def _name(path: str) -> str:
    if found := _CACHED.search(path):
        return f"{found[1]}/{found[2]}"
    return PurePath(path.replace("\\", "/")).name or "folder"
