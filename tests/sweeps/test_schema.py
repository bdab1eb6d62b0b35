"""The JSON Schema that editors check sweep files by."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from repro.reading import read_mapping
from sweeps import key_pages
from sweeps.__main__ import main

SWEEPS = Path(__file__).parents[2] / "sweeps"
FILES = sorted(SWEEPS.glob("*.yaml"))
CHECK = Draft202012Validator(key_pages.schema())
WHOLE = read_mapping(SWEEPS / "laptop.yaml") | {
    "runs": [{"size": "45k", "budget": "short", "window": {"dense": 0}, "lr_schedule": "wsd"}],
    "repeat": [{"size": "45k", "budget": "short", "sparsities": [0.8]}],
    "storage": {"corpus": "~/data"},
}
WHOLE["studies"]["seeds"]["confirm"] = {
    "size": "45k",
    "seeds": [1],
    "windows": {"short": {"0.2": [{"dense": 0, "prune": 0.5}]}},
}


def refused(data: dict[str, Any]) -> str:
    """What the schema says of a file that it refuses; empty where it takes it."""
    return "; ".join(error.message for error in CHECK.iter_errors(data))


def test_the_committed_schema_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == (SWEEPS / "sweep.schema.json").read_text()
    Draft202012Validator.check_schema(CHECK.schema)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_committed_sweep_names_the_schema_and_holds_to_it(file: Path) -> None:
    assert file.read_text().splitlines()[0] == "# yaml-language-server: $schema=sweep.schema.json"
    assert refused(read_mapping(file)) == ""


@pytest.mark.parametrize(
    "place",
    [
        (),
        ("corpus",),
        ("model",),
        ("optimizer",),
        ("sizes", "45k"),
        ("pruning", "window"),
        ("partners",),
        ("evaluation",),
        ("resources",),
        ("storage",),
        ("repeat", 0),
        ("runs", 0),
        ("runs", 0, "window"),
        ("studies",),
        ("studies", "law"),
        ("studies", "iso_average", "points", 0, "window"),
        ("studies", "seeds", "confirm", "windows", "short", "0.2", 0),
        ("studies", "controls", "variants", 0),
    ],
    ids=lambda place: ".".join(map(str, place)) or "top",
)
def test_a_misspelled_key_is_refused_at_any_depth(place: tuple[str | int, ...]) -> None:
    assert refused(WHOLE) == ""
    misspelled: Any = copy.deepcopy(WHOLE)
    at = misspelled
    for part in place:
        at = at[part]
    at["spersity"] = 0.5
    # A message of anyOf tells of the whole value, and so of the key in it.
    assert "spersity" in refused(misspelled)


@pytest.mark.parametrize(
    "block",
    [
        {"budgets": {"short": 0}},
        {"budgets": {"short": {"45k": 0}}},
        {"optimizer": {"batch": 8.5}},
        {"precision": "fp16"},
        {"resources": {"workers": 0}},
        {"resources": {"zero_stage": 4}},
        {"runs": [{"size": "45k"}]},
        {"studies": {"law": {"sizes": ["45k"], "budgets": ["short"], "sparsities": [1]}}},
        {"pruning": {"window": {"dense": 1}}},
        {"corpus": {"source": "web", "name": "x"}},
    ],
    ids=str,
)
def test_a_value_that_no_sweep_can_have_is_refused(block: dict[str, Any]) -> None:
    assert refused(WHOLE | block)


def test_only_a_file_without_extends_needs_the_required_keys() -> None:
    assert refused({"extends": "laptop.yaml", "name": "x"}) == ""
    assert "'corpus' is a required property" in refused({"name": "x"})


def test_every_key_is_described() -> None:
    """By itself, or by the block that it holds."""

    def described(key: dict[str, Any]) -> bool:
        return "description" in key or "$ref" in key or any("$ref" in one for one in key.get("anyOf", ()))

    blocks = [CHECK.schema, *CHECK.schema["$defs"].values(), CHECK.schema["properties"]["model"]]
    missing = {name for block in blocks for name, key in block["properties"].items() if not described(key)}
    assert missing == set()
    assert all("description" in block for block in CHECK.schema["$defs"].values())


def test_the_pages_of_keys_are_those_of_the_schema() -> None:
    docs = SWEEPS.parent / "docs"
    made = key_pages.pages()
    assert {name: (docs / name).read_text() for name in made} == made, "python -m sweeps schema --pages docs"
    assert max(text.count("\n") for text in made.values()) < 200


def test_every_key_of_the_schema_has_a_line_with_its_meaning() -> None:
    text, made = "".join(key_pages.pages().values()), key_pages.schema()
    blocks = {name for _, _, headings in key_pages.PAGES.values() for name in headings.values()}
    assert {*made["$defs"], "", "model", "optimizer"} == blocks | {"MirrorVariant"}
    keys = {key for block in (made, *made["$defs"].values()) for key in block["properties"]}
    keys |= set(made["properties"]["sizes"]["additionalProperties"]["properties"])
    assert len(keys) > 150
    assert sorted(key for key in keys if not re.search(rf"^- `{key}` \(.+\): .{{8,}}", text, re.MULTILINE)) == []


def test_the_command_writes_the_pages_of_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "--pages", str(tmp_path)]) == 0
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == key_pages.pages()
    assert str(tmp_path / "run-keys.md") in capsys.readouterr().out
