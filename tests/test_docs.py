"""What the documents say of the checkout."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_file_that_the_documents_name_is_there():
    named = {
        path
        for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "bench").glob("*.md"))
        for path in re.findall(
            r"`((?:tests|sweeps|docs|bench|repro|analysis|cluster)/[\w./-]+\.\w+)`", page.read_text()
        )
    }
    assert len(named) > 10
    assert sorted(path for path in named - {"sweeps/x.yaml"} if not (ROOT / path).is_file()) == []
