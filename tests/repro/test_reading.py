"""What a YAML file says, and what no file may do: repeat itself, run code, go in circles, fill the memory."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path

import pytest

from repro.errors import UserError
from repro.reading import read_yaml


def write(folder: Path, name: str, text: str | bytes) -> Path:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / name


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("12e6", 12e6), (".5", 0.5), ("32_000", 32_000), ("3.0e2", 300.0), ("1e3", 1000.0),
        ("010", 10), ("-007", -7), ("00", 0), ("0o17", 15), ("0x10", 16), ("1_000.5", 1000.5), ("+3", 3), ("5.", 5.0),
        (".inf", math.inf), ("-.INF", -math.inf), ("true", True), ("False", False), ("~", None), ("", None), ("null", None),
        # text, where YAML 1.1 or a spreadsheet sees something else
        ("0b1", "0b1"), ("1_", "1_"), ("1__0", "1__0"), ("_1", "_1"), ("10x", "10x"), ("2:4", "2:4"), ("1:30:00", "1:30:00"),
        ("2024-01-01", "2024-01-01"), ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"), ("on", "on"), ("no", "no"),
        ("Yes", "Yes"), ("y", "y"), ("inf", "inf"), ("nan", "nan"), ("1.000.000", "1.000.000"), ("1e", "1e"), ("=", "="),
        ("None", "None"), ('"010"', "010"), ("'1e3'", "1e3"), ("!!str 010", "010"), ("!!float 3", 3), ("!!null ~", None),
        ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_scalars_are_read_as_yaml_1_2_does(tmp_path: Path, text: str, value: object):
    found = read_yaml(write(tmp_path, "a.yaml", f"a: {text}\n"))["a"]
    assert (found, type(found)) == (value, type(value))


def test_a_number_that_is_none_is_no_number(tmp_path: Path):
    assert math.isnan(read_yaml(write(tmp_path, "a.yaml", "a: .nan\n"))["a"])


def test_keys_are_text_as_they_are_written(tmp_path: Path):
    text = "010: 1\n1e3: 2\non: 3\n2024-01-01: 4\n~: 5\n2:4: 6\ntrue: 7\n0.80: 8\n"
    assert list(read_yaml(write(tmp_path, "a.yaml", text))) == [
        "010",
        "1e3",
        "on",
        "2024-01-01",
        "~",
        "2:4",
        "true",
        "0.80",
    ]


def test_merge_keys_take_over_what_is_not_said_again(tmp_path: Path):
    text = """
base: &base {lr: 1, batch: 8, layers: 2}
other: &other {lr: 5, clip: 3}
own: {batch: 16, <<: *base}
several: {<<: [*base, *other], layers: 3}
chain: &chain {<<: *base, lr: 2}
deeper: {<<: *chain, batch: 9}
"""
    found = read_yaml(write(tmp_path, "a.yaml", text))
    assert found["own"] == {"lr": 1, "batch": 16, "layers": 2}
    assert found["several"] == {"lr": 1, "batch": 8, "clip": 3, "layers": 3}
    assert found["deeper"] == {"lr": 2, "batch": 9, "layers": 2}
    assert found["base"] == {"lr": 1, "batch": 8, "layers": 2}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(12)
)
MERGES = "a0: &a0 {x0: 1}\n" + "".join(
    f"a{i + 1}: &a{i + 1} {{<<: [{', '.join([f'*a{i}'] * 10)}], x{i + 1}: 1}}\n" for i in range(12)
)


@pytest.mark.parametrize(
    ("text", "message", "found"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "given twice", "line 4"),
        ("a: {<<: {b: 1}, <<: {c: 1}}", "given twice", "line 1"),
        ("a: [1", "not valid YAML", None),
        ("a:\n\tb: 1\n", "not valid YAML", None),
        ("a: b: c", "not valid YAML", None),
        ("a: *none", "not valid YAML", None),
        ("a: 1\n---\nb: 2\n", "not valid YAML", None),
        ("a: \x00", "not valid YAML", None),
        ("- 1", "not a mapping", "list"),
        ("", "not a mapping", "nothing"),
        ("# nothing\n", "not a mapping", "nothing"),
        ("just text", "not a mapping", "str"),
        ("{a: 1}: 2", "a key that isn't a word", "line 1"),
        ("name: {{ name }}", "a key that isn't a word", "line 1"),
        ("? [a, b]\n: 1", "a key that isn't a word", "line 1"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deeply", "line 1"),
        ("a: " + "{a: " * 3000 + "1" + "}" * 3000, "nested too deeply", "line 1"),
        ("a:\n" + "".join("  " * i + "- \n" for i in range(1, 200)), "nested too deeply", "line"),
        (BOMB, "too many values", "line"),
        (MERGES, "too many values", "line"),
        ("a: &a [*a]", "contains itself", "line 1"),
        ("a: &a {b: *a}", "contains itself", "line 1"),
        ("a: &a {<<: *a}", "contains itself", "line 1"),
        ("a: {<<: 3}", "merges mappings", "line 1"),
        ("a: !!python/object/apply:os.system ['touch /tmp/owned']", "tag", "python"),
        ("a: !!python/name:os.system", "tag", "python"),
        ("a: !mine {b: 1}", "tag", "!mine"),
        ("a: !!binary aGk=", "tag", "binary"),
        ("a: !!set {b}", "tag", "set"),
        ("a: !!int word", "tag", "int"),
        (b"a: caf\xe9\n", "not utf-8", "0xe9 on line 1"),
        (b"a: 1\nb: \x80\n", "not utf-8", "line 2"),
        ("x: 1 #" + "x" * 4_200_000, "too long", "bytes"),
    ],
)
def test_a_broken_or_hostile_file_is_refused(tmp_path: Path, text: str | bytes, message: str, found: str | None):
    file = write(tmp_path, "a.yaml", text)
    with pytest.raises(UserError, match=message) as error:
        read_yaml(file)
    assert str(error.value.file) == str(file)
    assert found is None or found in str(error.value.found)
    assert len(str(error.value)) < 1000
    assert error.value.expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_the_unicode_encodings_that_editors_write_are_read(tmp_path: Path, encoding: str):
    file = write(tmp_path, "a.yaml", "# größe\nname: größe\nb: [1]\n".encode(encoding))
    assert read_yaml(file) == {"name": "größe", "b": [1]}


def test_json_is_read_as_json(tmp_path: Path):
    data = {"name": "a\U0001f600/b", "x": 1e-5, "y": [None, True], "z": {"1": 10}}
    assert read_yaml(write(tmp_path, "a.json", json.dumps(data))) == data
    for text, message in {
        '{"a": 1, "a": 2}': "given twice", '{"a": NaN}': "NaN", '{"a": ': "not valid JSON", "[1]": "not a mapping",
        '{"a": ' + "[" * 100_000: "nested too deeply", '{"a": ' + "9" * 5000 + "}": "not valid JSON",
    }.items():  # fmt: skip
        with pytest.raises(UserError, match=message):
            read_yaml(write(tmp_path, "b.json", text))


def test_what_is_no_file_is_named(tmp_path: Path):
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for place, message in {
        "none.yaml": "no such file",
        ".": "a folder",
        "/dev/zero": "too long",
        "a\0b": "NUL",
    }.items():
        with pytest.raises(UserError, match=message):
            read_yaml(tmp_path / place)
    with pytest.raises(OSError, match="symbolic links"):
        read_yaml(tmp_path / "loop.yaml")


def test_a_pipe_of_a_shell_is_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text("a: 1\n"))
    writer.start()
    assert read_yaml(tmp_path / "pipe") == {"a": 1}
    writer.join()


def test_a_file_that_extends_another_replaces_its_blocks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, "base.yaml", "a: {x: 1, y: 2}\nb: 1\nd: 1\n")
    (tmp_path / "deep").mkdir()
    write(tmp_path, "deep/middle.yaml", "extends: ../base.yaml\nb: 2\nc: 2\n")
    own = write(tmp_path, "own.yaml", "extends: deep/middle.yaml\na: {x: 3}\nc: 3\n")
    assert read_yaml(own) == {"a": {"x": 3}, "b": 2, "c": 3, "d": 1}
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHERE", "deep")
    assert read_yaml(write(tmp_path, "deep/home.yaml", "extends: ~/own.yaml\n")) == read_yaml(own)
    assert read_yaml(write(tmp_path, "variable.yaml", "extends: $WHERE/middle.yaml\n")) == {
        "a": {"x": 1, "y": 2},
        "b": 2,
        "c": 2,
        "d": 1,
    }


@pytest.mark.parametrize(
    ("extends", "message"),
    [("own.yaml", "extend each other"), ("other.yaml", "extend each other"), ("none.yaml", "no such file"), ("~", "not a file"),
     ("[a.yaml]", "not a file"), ("3", "not a file"), ("''", "not a file"), ("$NOT_SET_ANYWHERE/a.yaml", "isn't set")],
)  # fmt: skip
def test_extends_in_a_circle_or_of_nothing_is_refused(tmp_path: Path, extends: str, message: str):
    write(tmp_path, "other.yaml", "extends: third.yaml\n")
    write(tmp_path, "third.yaml", "extends: ./other.yaml\n")
    with pytest.raises(UserError, match=message) as error:
        read_yaml(write(tmp_path, "own.yaml", f"extends: {extends}\n"))
    assert error.value.key == "extends"
