"""The canonical form of a spec, from which its identity is computed, and metadata of its fields."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from repro.strict import Form

SHA256 = Form(pattern="^[0-9a-f]{64}$", said="a SHA-256: 64 hexadecimal digits, 0-9a-f")
LABEL: dict[str, bool] = {"identity": False}
LATER: dict[str, bool] = {"identity_at_default": False}  # left out of the hash at its default: old fingerprints stay


def tag(text: str) -> dict[str, str]:
    """Metadata of a field that a single run of a sweep may change: the prefix of its value in that run's id."""
    return {"tag": text}


def canonical(spec: Any) -> str:
    """Sorted, compact JSON of a spec's fields, without labels and without LATER fields at their default.

    Raises:
        TypeError: a value that has no unambiguous literal form.
    """
    return json.dumps(_literal(spec, type(spec).__name__), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _literal(value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: _literal(getattr(value, f.name), f"{name}.{f.name}")
            for f in dataclasses.fields(value)
            if f.metadata.get("identity", True)
            and (f.metadata.get("identity_at_default", True) or getattr(value, f.name) != f.default)
        }
    if isinstance(value, (list, tuple)):
        return [_literal(v, name) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{name}: a {type(value).__name__} has no canonical form")
