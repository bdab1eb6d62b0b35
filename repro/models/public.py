"""Prepares a run's spec for publication: without paths of the machine that trained it."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

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
