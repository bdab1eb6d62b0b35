"""YAML into dataclasses: every key known, typed and placed in the message when it is wrong."""

from dataclasses import field, replace
from typing import Annotated, Literal

import pytest

from repro import strict
from repro.errors import UserError


@strict.dataclass
class Inner:
    share: float
    kind: Literal["a", "b"] = "a"

    def __post_init__(self):
        if self.share > 1:
            raise UserError("share out of range", key="share", found=self.share, expected="at most 1")


@strict.dataclass
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
        ({"count": 2**63}, "count", "9223372036854775808"),
        ({"count": float("inf")}, "count", "inf"),
        ({"count": 1, "inner": {"share": 10**400}}, "inner.share", "1" + 199 * "0" + "..."),
        ({"count": 1, "inner": {"share": float("nan")}}, "inner.share", "nan"),
        ({"count": 1, "either": [2024]}, "either[0]", "2024"),
        ({"count": 1, "flag": "maybe"}, "flag", "'maybe'"),
        ({"count": 1, "by_number": {"0.8": "a", "8e-1": "b"}}, "by_number.8e-1", "8e-1"),
        ({"count": 1, "named": "/data"}, "named", "'/data'"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_file_place_and_what_was_expected(data, key, found):
    with pytest.raises(UserError) as error:
        strict.build(Outer, data, file="a.yaml")
    assert (error.value.file, error.value.key, str(error.value.found)) == ("a.yaml", key, found)
    assert error.value.expected
    assert all(word in str(error.value) for word in ("a.yaml", key, found))


@strict.dataclass
class Bounded:
    """Each kind of bound, alone and of what may be null."""

    share: Annotated[float, strict.Between(0, 1, "of compute", "[)")] = 0.5
    lanes: Annotated[int | None, strict.Between(1, 1000, "runs"), "runs at once"] = None
    lr: Annotated[float, strict.Above(0)] = 1.0
    sha256: Annotated[str | None, strict.Form(pattern="^[0-9a-f]{4}$", said="4 digits")] = None
    many: tuple[Annotated[int, strict.Above(0, "steps", inclusive=True)], ...] = ()


@pytest.mark.parametrize(
    ("given", "key", "expected"),
    [
        ({"share": 1}, "share", "0 <= of compute < 1"),
        ({"lanes": 0}, "lanes", "1 to 1,000 runs"),
        ({"lanes": "x"}, "lanes", "a whole number, 1 to 1,000 runs or null"),
        ({"lr": 0}, "lr", "more than 0, and finite"),
        ({"sha256": "ABCD"}, "sha256", "4 digits"),
        ({"many": [1, -1]}, "many[1]", "0 steps or more, and finite"),
    ],
)
def test_a_declared_bound_holds_however_an_instance_is_made_and_is_said(given, key, expected):
    for make in (lambda: strict.build(Bounded, given), lambda: Bounded(**given), lambda: replace(Bounded(), **given)):
        with pytest.raises(UserError) as error:
            make()
        assert (error.value.key, error.value.expected) == (key, expected)
    assert Bounded(lanes=None, sha256=None) == Bounded()


@strict.dataclass
class FromFolder:
    model: str
    digits: int = 0


@strict.dataclass
class FromRun:
    run: str
    at: Annotated[int, strict.Above(0, "steps")] | Literal["end"] = "end"


@strict.dataclass
class Started:
    start: Annotated[FromFolder | FromRun | None, strict.ByKey(model=FromFolder, run=FromRun), "weights"] = None


def test_alternatives_are_told_apart_by_a_key():
    assert strict.build(Started, {"start": {"run": "a", "at": 3.0}}) == Started(FromRun("a", 3))
    assert strict.build(Started, {"start": {"model": "m"}}).start == FromFolder("m")
    assert strict.build(Started, {"start": None}).start is None


@pytest.mark.parametrize(
    ("start", "key", "expected"),
    [
        ({"run": "a", "digits": 1}, "start.digits", "one of: run, at"),
        ({"run": "a", "at": 0}, "start.at", "more than 0 steps, and finite"),
        ({"model": 3}, "start.model", "text, in quotes where it looks like a number"),
        ({"digits": 1}, "start", "a mapping with one of the keys model, run"),
        ("a", "start", "a mapping with one of the keys model, run"),
    ],
)
def test_of_alternatives_the_one_that_is_meant_says_what_is_wrong(start, key, expected):
    with pytest.raises(UserError) as error:
        strict.build(Started, {"start": start}, file="a.yaml")
    assert (error.value.key, error.value.expected) == (key, expected)


def test_a_missing_key_is_named_with_its_type():
    with pytest.raises(UserError, match="missing key") as error:
        strict.build(Outer, {}, file="a.yaml")
    assert (error.value.key, error.value.expected) == ("count", "a whole number")


def test_a_long_value_is_cut_in_a_message():
    with pytest.raises(UserError) as error:
        strict.build(Outer, {"count": ["x"] * 100_000}, file="a.yaml")
    assert len(str(error.value)) < 500


def test_what_yaml_1_1_calls_a_boolean_is_one_where_one_is_expected_and_a_label_elsewhere():
    built = strict.build(Outer, {"count": 1, "flag": "yes", "either": ["on", "no"], "named": {"off": 1}})
    assert (built.flag, built.either, built.named) == (True, ("on", "no"), {"off": 1})
    assert strict.build(Outer, {"count": 1, "either": "Off"}).either is False


def test_keys_that_are_numbers_are_read_as_numbers_are():
    by_number = {"0.8": "a", "5e-1": "b", 0.25: "c", "010": "d"}
    assert strict.build(Outer, {"count": 1, "by_number": by_number}).by_number == {
        0.8: "a",
        0.5: "b",
        0.25: "c",
        10: "d",
    }
