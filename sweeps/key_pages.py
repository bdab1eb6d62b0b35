"""Generates the JSON Schema of a sweep file, and from it the documentation pages of all its keys, one line per key, in docs/."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from repro import strict
from sweeps.grid import Declaration

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


Part = Mapping[str, Any]
CHANGE = "Variant"  # its keys are those of a change, which other blocks have too; printed once
# Page -> its title, its first sentences, and the blocks that it describes: heading -> name in the schema ("": the file itself).
PAGES: dict[str, tuple[str, str, dict[str, str]]] = {
    "sweep-keys.md": (
        "Keys of a sweep file",
        "[Sweeps](sweeps.md) says how these work together. Keys of a run, of a change and of its surgery are on "
        "[Keys of runs](run-keys.md), those of the studies on [Keys of the studies](study-keys.md). What has no default under "
        "`model` and `optimizer` must stand there or under each of the `sizes`.",
        {
            "The file": "", "model": "model", "model: rope_scaling": "RopeScaling", "optimizer": "optimizer",
            "corpus": "CorpusSpec", "pruning": "PruningDefaults", "pruning: window": "Window", "partners": "Partners",
            "rates": "RateExponents", "evaluation": "EvalSpec", "repeat": "Repeat", "resources": "Resources",
            "storage": "Storage",
        },
    ),
    "run-keys.md": (
        "Keys of runs",
        "A run of its own stands under `runs` of a sweep file. Points, cells and changes are parts of studies, of which "
        "[Keys of the studies](study-keys.md) has the rest.",
        {
            "A change": CHANGE, "moves": "MovesSpec", "runs": "SingleRun", "start, from a run": "FromRun",
            "start, from a model": "FromModel", "surgery": "SurgerySpec", "surgery: calibration": "CalibrationSpec",
            "A point": "Point", "Cells": "Cells", "A change of a mirrored set": "MirrorVariant",
            "A parent": "Parent", "A method of pruning": "Pruning",
        },
    ),
    "study-keys.md": (
        "Keys of the studies",
        "Studies stand under `studies` of a sweep file. Points, cells, changes, parents and methods are on "
        "[Keys of runs](run-keys.md).",
        {
            "studies": "Studies", "schedules": "Schedules", "law": "LawStudy", "pairs": "Pairs", "robustness": "Robustness",
            "iso_average": "IsoAverage", "dense": "Dense", "seeds": "Seeds", "seeds: confirm": "Confirm",
            "controls": "Controls", "lr": "LearningRates", "regime": "Regime", "own_rates": "OwnRates",
            "parents": "DenseParents", "post_training": "PostTraining", "post_training: controls": "PostControls",
            "growth": "GrowthStudy", "mirror": "Mirror", "mirror: controls": "MirrorControls",
        },
    ),
}  # fmt: skip


def pages() -> dict[str, str]:
    """The pages, by file name."""
    made = schema()
    blocks = {**made["$defs"], "": made, **{key: made["properties"][key] for key in ("model", "optimizer")}}
    return {file: _page(title, text, headings, blocks) for file, (title, text, headings) in PAGES.items()}


def _page(title: str, text: str, headings: Mapping[str, str], blocks: Mapping[str, Part]) -> str:
    lines = [f"# {title}", "", "<!-- written by `python -m sweeps schema --pages docs` -->", "", text, ""]
    for heading, name in headings.items():
        told = any(line.startswith(f"- `{heading}` ") for line in lines)  # what the block is for
        said = [] if told else [" ".join(blocks[name]["description"].split()), ""]
        lines += [f"## {heading}", "", *said, *_lines(name, blocks), ""]
    return "\n".join(lines)


def _lines(name: str, blocks: Mapping[str, Part]) -> Iterator[str]:
    """A line for each key of a block; keys of a change are named once, where the change itself is described."""
    block, change = blocks[name], blocks[CHANGE]["properties"]
    with_change = name != CHANGE and "fill" in block["properties"]
    for key, part in block["properties"].items():
        if not with_change or key not in change:
            yield f"- `{key}` ({_default(key, block)}): {_meaning(part, blocks)}"
    if with_change:
        yield "- and the keys of [a change](#a-change), but for `sparsities`"


def _default(key: str, block: Part) -> str:
    """Whether a key must be there, or what it is without."""
    if key in block.get("required", ()) or key in block.get("then", {}).get("required", ()):
        return "required"
    value = block["properties"][key].get("default")
    return "optional" if value is None else f"default `{json.dumps(value)}`"


def _meaning(part: Part, blocks: Mapping[str, Part]) -> str:
    """What a key means: its own description, else that of the block that it holds."""
    if "description" not in part:
        part = blocks[_reference(part)]
    return " ".join(part["description"].split())


def _reference(part: Any) -> str:
    """The block that a key without a description holds."""
    for one in (part, part.get("items", {}), *part.get("anyOf", ())):
        if "$ref" in one:
            return str(one["$ref"]).rpartition("/")[2]
        if "$ref" in one.get("items", {}):
            return str(one["items"]["$ref"]).rpartition("/")[2]
    raise KeyError(f"no description: {part}")
