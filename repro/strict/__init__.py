"""Frozen dataclasses with enforced types and bounds, built from plain values of YAML and JSON.

They are built on pydantic. Rules that it can't express (between keys, of names and text) are in `__post_init__`, which
raises UserError. All errors are UserErrors, with key, found and expected value.
"""

from repro.reading import read_yaml
from repro.strict.classes import KeysOf, build, dataclass, json_schema, optional, taken
from repro.strict.rules import Above, Between, ByKey, Form, Refusal
