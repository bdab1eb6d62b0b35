"""What of a spec bears identity, and its canonical form; what else is declared of a field beside its type."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from repro.strict import Form

SHA256 = Form(pattern="^[0-9a-f]{64}$", said="a SHA-256: 64 hexadecimal digits, 0-9a-f")
LABEL: dict[str, bool] = {"identity": False}
LATER: dict[str, bool] = {"identity_at_default": False}  # added later: left out at its default, so fingerprints stay


def tag(text: str) -> dict[str, str]:
    """Of a field that one run of a sweep may change: what stands before its value in the id of such a run."""
    return {"tag": text}


def canonical(spec: Any) -> str:
    """Sorted, compact JSON of the fields that bear identity; of those added LATER, where they aren't at their default.

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
