"""sweep.json, the record of how a sweep was made: each key that the analysis uses is checked for its type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from repro.errors import UserError
from repro.store.folder import Folder

FILE = "sweep.json"
NUMBER, TEXT, TRUTH = "a finite number", "text", "true or false"
# By key: the kind of its value; a list holds one kind, a mapping the kinds of those of its keys that matter.
SHAPE: Mapping[str, Any] = {
    "name": TEXT,
    "file": TEXT,
    "commit": TEXT,
    "created": TEXT,
    "python": TEXT,
    "seconds": NUMBER,
    "share_prefix": TRUTH,
    "lr_schedules": [TEXT],
    "hardware": {},
    "versions": {},
    "failed": [{"run_id": TEXT, "reason": TEXT}],
    "planned": [{"run_id": TEXT, "cost": NUMBER, "seconds": NUMBER, "workers": NUMBER}],
    "promised": {"makespan_seconds": NUMBER, "lower_bound_seconds": NUMBER},
    "training": {"runs": [TEXT], "seconds": NUMBER, "lanes": NUMBER},
}
NEEDED = {"planned": ("run_id", "cost"), "failed": ("run_id", "reason")}  # in each entry
CORPUS: Mapping[str, Any] = {"licence": TEXT, "unique_tokens": NUMBER, "overlap_13gram": NUMBER}


def read(folder: Folder) -> dict[str, Any]:
    """What sweep.json says; empty where there is none. Any key may be missing or null.

    Raises:
        UserError: no JSON object, or a value of another kind, with its key.
    """
    if not folder.exists(FILE):
        return {}
    file, found = f"{folder}/{FILE}", folder.read_json(FILE)
    _check(found, SHAPE, file, "")
    if isinstance(found.get("corpus"), dict):
        _check(found["corpus"], CORPUS, file, "corpus.")
    for key, names in NEEDED.items():
        for i, entry in enumerate(found.get(key) or ()):
            for name in names:
                if entry.get(name) is None:
                    raise UserError(
                        "a key is missing", file=file, key=f"{key}.{i}.{name}", expected=SHAPE[key][0][name]
                    )
    return dict(found)


def _check(value: Any, shape: Any, file: str, key: str) -> None:
    name = key.rstrip(".")
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            raise UserError("not an object", file=file, key=name or None, found=type(value).__name__, expected="{…}")
        for inner, kind in shape.items():
            if value.get(inner) is not None:
                _check(value[inner], kind, file, f"{key}{inner}.")
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise UserError("not a list", file=file, key=name, found=type(value).__name__, expected="[…]")
        for i, item in enumerate(value):
            _check(item, shape[0], file, f"{key}{i}.")
    elif not _is(value, shape):
        raise UserError("a value of another type", file=file, key=name, found=repr(value)[:100], expected=shape)


def _is(value: Any, kind: str) -> bool:
    if kind == NUMBER:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, str if kind == TEXT else bool)
