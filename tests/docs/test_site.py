"""The site: builds with every link checked, and asks for nothing from elsewhere; each page is short."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.commands import PAGES, ROOT
from tests.test_rooms import ANALYSIS


@pytest.mark.slow
def test_the_site_builds_and_fetches_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        html = (tmp_path / "site" / f"{page}.html").read_text()
        fetched = re.findall(r"<(?:script|img|iframe)[^>]+src=\"?([^\" >]+)|<link[^>]+href=\"?([^\" >]+)", html)
        assert [one for found in fetched for one in found if one.startswith(("http", "//"))] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short_and_links_to_nothing_outside_of_docs(page: str) -> None:
    text = PAGES[page].read_text()
    assert text.count("\n") < 200
    assert text.startswith("# ")
    assert re.findall(r"\]\((\.\./[^)]*|/[^)]*)\)", text) == []


def test_every_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text()
    assert [page for page in PAGES if f": {page}.md" not in nav] == []


def test_the_page_on_the_architecture_names_every_room() -> None:
    text = PAGES["architecture"].read_text()
    rooms = [f"{folder.name}/" for folder in (ROOT / "repro").iterdir() if (folder / "__init__.py").exists()]
    assert [room for room in (*rooms, "repro/", "sweeps/", "cluster/", "analysis/") if room not in text] == []
    assert sorted(ANALYSIS, key=lambda room: text.find(f"`{room}`")) == list(ANALYSIS)
