"""Which text `repro evaluate RUN TEXT` takes a place for."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.corpus import Corpus
from repro.corpus.files import FilesSource
from repro.errors import UserError
from repro.evaluation import texts


def found(place: str) -> list[str]:
    source = texts.find(place, "text", None)
    assert isinstance(source, FilesSource)
    return [document.text for document in source.documents()]


def test_files_are_found_as_in_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "notes[v2].TXT").write_bytes("of a BOM\r\nno trace".encode("utf-8-sig"))
    (tmp_path / "notesv.TXT").write_text("another")
    (tmp_path / "a.json").write_text('[{"text": "one"}, {"text": "two"}]')
    assert found(f"{tmp_path}/notes[v2].TXT") == found("~/notes[v2].TXT") == ["of a BOM\nno trace"]
    assert found("~/a.json") == ["one", "two"]
    assert found("~/*v*") == ["of a BOM\nno trace", "another"]


@pytest.mark.parametrize(
    ("place", "said"),
    [(".", "'./*.txt'"), ("none", "no such text"), ("none.txt", "no such files"), ("*.none", "no such files")],
)
def test_what_is_no_text_says_what_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError) as refused:
        texts.find(place, "text", None)
    assert said in str(refused.value)


def test_a_corpus_is_a_corpus(text: Corpus) -> None:
    source = texts.find(str(text.folder), "text", None)
    assert isinstance(source, Corpus)
    assert source.hash == text.hash
