"""YAML into dataclasses: every key known, typed and placed in the message when it is wrong."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from repro import strict
from repro.errors import UserError


@dataclass(frozen=True)
class Inner:
    share: float
    kind: Literal["a", "b"] = "a"

    def __post_init__(self):
        if self.share > 1:
            raise UserError("share out of range", key="share", found=self.share, expected="at most 1")


@dataclass(frozen=True)
class Outer:
    count: int
    inner: Inner = Inner(0.5)
    items: tuple[Inner, ...] = ()
    named: dict[str, int] = field(default_factory=dict)
    by_number: dict[float, str] = field(default_factory=dict)
    maybe: int | None = None
    either: bool | tuple[str, ...] = False
    flag: bool = False


def test_nested_blocks_lists_and_mappings_are_built():
    built = strict.build(
        Outer,
        {
            "count": 2,
            "items": [{"share": 1, "kind": "b"}],
            "named": {"x": 1e3},
            "by_number": {0.8: "high"},
            "either": ["y"],
        },
    )
    assert built == Outer(2, items=(Inner(1.0, "b"),), named={"x": 1000}, by_number={0.8: "high"}, either=("y",))


@pytest.mark.parametrize(
    ("data", "key", "found"),
    [
        ({"count": 1, "cuont": 2}, "cuont", "cuont"),
        ({"count": 1, "inner": {"share": 0.1, "knid": "a"}}, "inner.knid", "knid"),
        ({"count": 1, "items": [{"share": 0.1}, {"share": 2}]}, "items[1].share", "2.0"),
        ({"count": 1, "inner": {"share": 0.1, "kind": "c"}}, "inner.kind", "'c'"),
        ({"count": "1"}, "count", "'1'"),
        ({"count": True}, "count", "True"),
        ({"count": 1.5}, "count", "1.5"),
        ({"count": 1, "flag": 1}, "flag", "1"),
        ({"count": 1, "items": {"share": 1}}, "items", "{'share': 1}"),
        ({"count": 1, "named": {"x": "many"}}, "named.x", "'many'"),
        ({"count": 1, "by_number": {"low": "x"}}, "by_number.low", "'low'"),
        ({"count": 1, "inner": None}, "inner", "None"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file_place_and_what_was_expected(data, key, found):
    with pytest.raises(UserError) as error:
        strict.build(Outer, data, file="a.yaml")
    assert (error.value.file, error.value.key, str(error.value.found)) == ("a.yaml", key, found)
    assert error.value.expected
    assert all(word in str(error.value) for word in ("a.yaml", key, found))


def test_a_missing_key_is_named_with_its_type():
    with pytest.raises(UserError, match="missing key") as error:
        strict.build(Outer, {}, file="a.yaml")
    assert (error.value.key, error.value.expected) == ("count", "a whole number")


def write(folder, name, text):
    (folder / name).write_text(text)
    return folder / name


def test_numbers_are_read_as_yaml_1_2_does(tmp_path):
    assert strict.read_yaml(write(tmp_path, "a.yaml", "a: 1e-3\nb: 12e6\nc: .5\nd: 32_000\ne: 10x\n")) == {
        "a": 1e-3,
        "b": 12e6,
        "c": 0.5,
        "d": 32_000,
        "e": "10x",
    }


def test_a_key_given_twice_is_refused(tmp_path):
    with pytest.raises(UserError, match="given twice") as error:
        strict.read_yaml(write(tmp_path, "a.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n"))
    assert error.value.key == "c"
    assert "line 4" in str(error.value.found)


@pytest.mark.parametrize(
    ("text", "message"), [("a: [1", "not valid YAML"), ("- 1", "not a mapping"), ("", "not a mapping")]
)
def test_a_broken_file_is_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        strict.read_yaml(write(tmp_path, "a.yaml", text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        strict.read_yaml(tmp_path / "none.yaml")


def test_a_file_that_extends_another_replaces_its_blocks_whole(tmp_path):
    write(tmp_path, "base.yaml", "a: {x: 1, y: 2}\nb: 1\n")
    assert strict.read_yaml(write(tmp_path, "own.yaml", "extends: base.yaml\na: {x: 3}\n")) == {"a": {"x": 3}, "b": 1}
