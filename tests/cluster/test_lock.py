"""The locks: every package with the hashes of its files, and all that is asked for is in them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from cluster.versions import locked

ROOT = Path(__file__).parents[2]
LOCKS = tuple(file.name for file in ROOT.glob("requirements*.lock"))


def entries(lock: str) -> dict[str, list[str]]:
    """Requirement -> its hashes."""
    text = "".join(line for line in (ROOT / lock).read_text().splitlines(keepends=True) if not line.startswith("#"))
    found = [entry.split() for entry in text.replace("\\\n", " ").splitlines()]
    return {first: rest for first, *rest in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_one_version_with_hashes(lock: str) -> None:
    found = entries(lock)
    assert found
    for requirement, hashes in found.items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*==[A-Za-z0-9.+!]+", requirement), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", word) for word in hashes), requirement


def test_what_pyproject_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    asked = [
        *project["project"]["dependencies"],
        *extras["analysis"],
        *extras["train"][1:],
        *project["dependency-groups"]["dev"],
    ]
    names = [re.match(r"[\w-]+", one)[0].lower().replace("_", "-") for one in asked]  # type: ignore[index]
    assert [name for name in names if name not in locked()] == []


def test_torchs_builds_are_of_one_version() -> None:
    [cpu] = entries("requirements-cpu.lock")
    assert cpu == f"torch=={locked()['torch']}+cpu"
    assert not [name for name in locked() if name.startswith(("nvidia", "cuda", "triton"))]


def test_what_builds_is_of_the_locked_version() -> None:
    whole = entries("requirements.lock")
    assert entries("requirements-build.lock") == {one: whole[one] for one in whole if one.startswith("setuptools==")}


@pytest.mark.parametrize("file", ["Makefile", "Dockerfile", "cluster/templates/skypilot.yaml.j2"])
def test_nothing_is_installed_or_built_with_what_has_no_hash(file: str) -> None:
    commands = (ROOT / file).read_text().replace("\\\n", " ").replace("&&", "\n").splitlines()
    installs = [one for one in commands if "pip install" in one and (".lock" in one or one.startswith("LOCKED"))]
    assert installs
    for one in installs:
        assert "--require-hashes" in one, one
        assert "requirements-build.lock" in one or "--no-build-isolation" in one, one


def test_the_base_image_has_a_digest() -> None:
    [image] = re.findall(r"^FROM (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", image)
