"""The JSON Schema of a sweep file before `extends` is applied, for editors that complete and check it."""

from __future__ import annotations

import json
from typing import Any

from repro import strict
from sweeps.sweep_file import Declaration

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema: describes each key and refuses unknown ones; only `sweeps expand` checks rules between keys."""
    made = _plain(strict.json_schema(Declaration))
    required = made.pop("required")
    extends = {"type": "string", "description": "another sweep file, whose top-level keys this one replaces"}
    return {
        "$schema": DIALECT,
        **made,
        "title": "Sweep file",
        "properties": {"extends": extends, **made["properties"]},
        "if": {"not": {"required": ["extends"]}},
        "then": {"required": required},
    }


def text() -> str:
    """The content of sweeps/sweep.schema.json."""
    return json.dumps(schema(), indent=1) + "\n"


def _plain(part: Any) -> Any:
    """Removes the defaults of whole blocks, since their keys have defaults of their own."""
    if isinstance(part, list):
        return [_plain(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {key: _plain(one) for key, one in part.items() if not (key == "default" and isinstance(one, dict) and one)}
