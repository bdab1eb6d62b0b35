"""Frozen dataclasses whose types and bounds hold, and plain values, as YAML and JSON give them, built into such.

pydantic does the work. What it can't know (rules between keys, names, text) stands in a class's `__post_init__`, which
raises UserError; so does every other refusal, with the key, what was found and what was expected.
"""

from repro.reading import read_yaml
from repro.strict.classes import KeysOf, build, dataclass, json_schema, optional, taken
from repro.strict.rules import Above, Between, ByKey, Form, Refusal

__all__ = [
    "Above",
    "Between",
    "ByKey",
    "Form",
    "KeysOf",
    "Refusal",
    "build",
    "dataclass",
    "json_schema",
    "optional",
    "read_yaml",
    "taken",
]
