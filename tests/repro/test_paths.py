"""Places that a user names: `~`, variables, patterns, and names that become paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro import paths
from repro.errors import UserError


def test_a_home_folder_and_variables_are_expanded_as_a_shell_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHERE", "there")
    assert paths.expand("~/results") == f"{tmp_path}/results"
    assert paths.expand("/data/${WHERE}/x$WHERE") == "/data/there/xthere"
    assert paths.expand("s3://bucket/$WHERE/~/x") == "s3://bucket/there/~/x"
    assert paths.expand("a~b") == "a~b"


@pytest.mark.parametrize(
    "place", ["$NOT_SET_ANYWHERE/x", "s3://${NOT_SET_ANYWHERE}/x", "~nobody-of-this-name/x", "a\0b"]
)
def test_what_cannot_be_expanded_is_refused(place: str):
    with pytest.raises(UserError):
        paths.expand(place, file="x.yaml", key="storage.results")


def test_a_path_that_exists_is_taken_before_its_meaning_as_a_pattern_or_a_variable(tmp_path: Path):
    for folder in ("run[v2]", "cost$5", "v"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
    assert paths.expand(f"{tmp_path}/cost$5") == f"{tmp_path}/cost$5"
    assert [found.read_text() for found in paths.files(f"{tmp_path}/run[v2]/a.txt")] == ["run[v2]"]


def test_a_pattern_names_each_file_once_in_the_order_of_names_and_follows_no_link(tmp_path: Path):
    for name in ("b.txt", "a.txt", ".hidden.txt", "deep/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    assert [found.name for found in paths.files(f"{tmp_path}/*.txt")] == ["a.txt", "b.txt"]
    assert [found.name for found in paths.files(f"{tmp_path}/**/*.txt")] == ["a.txt", "b.txt", "c.txt"]


@pytest.mark.parametrize("pattern", ["", "deep", "none*.txt", "missing.txt", "**x"])
def test_what_names_no_file_is_refused(tmp_path: Path, pattern: str):
    (tmp_path / "deep").mkdir()
    with pytest.raises(UserError):
        paths.files(f"{tmp_path}/{pattern}")


@pytest.mark.parametrize("name", ["17k", "25-50-25", "17k-p20", "v1.5_x+y=z", "A"])
def test_a_name_of_letters_digits_and_a_few_signs_is_one(name: str):
    assert paths.check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", ".x", "-x", "a\nb", "a b", "é", "x" * 129, "a\0", "a.", "a\\b"]
)
def test_any_other_name_is_refused(name: str):
    with pytest.raises(UserError):
        paths.check_name(name)


def test_below_a_folder_whose_name_holds_a_dollar_what_isnt_there_yet_is_found(tmp_path: Path, monkeypatch):
    (tmp_path / "cost$5x").mkdir()
    monkeypatch.setenv("NEW", "later")
    assert paths.expand(f"{tmp_path}/cost$5x/runs/a") == f"{tmp_path}/cost$5x/runs/a"
    assert paths.expand(f"{tmp_path}/cost$5x/$NEW") == f"{tmp_path}/cost$5x/later"
