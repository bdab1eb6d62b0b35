"""docs/evidence.md says what the files in docs/evidence say."""

from __future__ import annotations

import re

from tests.docs.evidence import FOLDERS, PAGE, with_tables


def test_the_tables_are_those_of_the_files() -> None:
    text = PAGE.read_text()
    assert with_tables(text) == text, "python -m tests.docs.evidence"
    rows = re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)
    assert {*rows} == {folder.name for folder in FOLDERS}
    assert text.count("\n") < 200


def test_every_folder_of_evidence_is_described_in_a_sentence() -> None:
    text = PAGE.read_text()
    assert [folder.name for folder in FOLDERS if f"- `{folder.name}`: " not in text] == []
