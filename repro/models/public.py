"""What an export makes public of a run: its spec without the places of the machine that trained it."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

_CACHED = re.compile(r"/models--([\w.-]+?)--([\w.-]+)/snapshots/")  # how the hub's cache names a fetched model
_PLACE = re.compile(r"[/\\~]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|[a-z][a-z0-9+.-]*://|\$")


def without_places(value: Any) -> Any:
    """A spec as JSON, in which each path or address of storage is its last part, and a fetched model its id.

    Of what bears identity only a tokenizer, dataset or weights that lie in a folder are such; the fingerprint that the
    spec says remains that of the run. Which files a corpus of `files` was made of is a label: their names are kept.
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
