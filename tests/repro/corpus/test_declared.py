"""What a sweep's YAML says of its text, and what it can't say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repro import strict
from repro.corpus import build, declared
from repro.errors import UserError
from repro.spec import CorpusSpec

FILES: dict[str, Any] = {"source": "files", "name": "mine", "paths": ["a.txt"]}
HUB: dict[str, Any] = {"source": "huggingface", "name": "owner/name"}


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (FILES | {"max_documents": -1}, "max_documents"),
        (FILES | {"max_documents": 0}, "max_documents"),
        (FILES | {"max_documents": 10**30}, "max_documents"),
        (FILES | {"max_documents": 1.5}, "max_documents"),
        (FILES | {"max_documents": True}, "max_documents"),
        (FILES | {"unique_tokens": 0}, "unique_tokens"),
        (FILES | {"unique_tokens": 1e300}, "unique_tokens"),
        (FILES | {"heldout_fraction": float("nan")}, "heldout_fraction"),
        (FILES | {"heldout_fraction": 0}, "heldout_fraction"),
        (FILES | {"heldout_fraction": 0.5}, "heldout_fraction"),
        (FILES | {"text_sha256": "abc"}, "text_sha256"),
        (FILES | {"text_sha256": "A" * 64}, "text_sha256"),
        (FILES | {"name": ""}, "name"),
        (FILES | {"name": " \t"}, "name"),
        (FILES | {"name": "a\x1b[31mb"}, "name"),
        (FILES | {"text_field": ""}, "text_field"),
        (FILES | {"tokenizer": ""}, "tokenizer"),
        (FILES | {"paths": ["a.txt", ""]}, r"paths\[1\]"),
        (FILES | {"paths": ["a\0.txt"]}, r"paths\[0\]"),
        (FILES | {"paths": []}, "paths"),
        (FILES | {"paths": "a.txt"}, "paths"),
        (FILES | {"revision": "main"}, "revision"),
        (FILES | {"split": "test"}, "split"),
        (HUB | {"paths": ["a.txt"]}, "paths"),
        (HUB | {"revision": ""}, "revision"),
        (HUB | {"revision": 1234567}, "revision"),
        (HUB | {"subset": "\n"}, "subset"),
        (HUB | {"heldout_split": "train"}, "heldout_split"),
    ],
)
def test_text_that_cannot_be_meant_is_refused_by_key(data: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=rf"corpus\.{key}"):
        strict.build(CorpusSpec, data, file="sweep.yaml", key="corpus")


def sweep(folder: Path, rest: str) -> Path:
    file = folder / "sweep.yaml"
    file.write_text(f"corpus: {{source: package, name: pydoc}}\n{rest}\n")
    return file


@pytest.mark.parametrize("vocab", ["300", "3.0e2", "300.0", "3e2", "3_00"])
def test_a_whole_number_is_one_however_it_is_written(tmp_path: Path, vocab: str) -> None:
    _, found, sequence, root = declared(sweep(tmp_path, f"model: {{vocab: {vocab}, sequence: 32}}"))
    assert (found, sequence, root) == (300, 32, "data")
    assert isinstance(found, int)


@pytest.mark.parametrize(
    ("rest", "key"),
    [
        ("", "model.vocab"),
        ("model: [300, 32]", "model"),
        ("model: {vocab: 300.5, sequence: 32}", "model.vocab"),
        ("model: {vocab: yes, sequence: 32}", "model.vocab"),
        ("model: {vocab: 300, sequence: 0}", "model.sequence"),
        ("model: {vocab: -300, sequence: 32}", "model.vocab"),
        ("model: {vocab: 300, sequence: 1e30}", "model.sequence"),
        ("model: {vocab: .inf, sequence: 32}", "model.vocab"),
        ("model: {vocab: 300, sequence: 32}\nstorage: /data", "storage"),
        ("model: {vocab: 300, sequence: 32}\nstorage: {corpus: 3}", "storage.corpus"),
        ("model: {vocab: 300, sequence: 32}\nstorage: {corpus: ''}", "storage.corpus"),
    ],
)
def test_what_no_corpus_can_have_is_refused_by_key(tmp_path: Path, rest: str, key: str) -> None:
    with pytest.raises(UserError, match=rf"key: +{key}\n"):
        declared(sweep(tmp_path, rest))


def test_the_place_of_corpora_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    rest = "model: {vocab: 300, sequence: 32}\nstorage: {corpus: ~/data}"
    assert declared(sweep(tmp_path, rest))[3] == f"{tmp_path}/data"


def test_a_name_without_a_letter_still_names_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "a text, number {i}"}}\n' for i in range(99)))
    spec = CorpusSpec("files", "../..", paths=(f"{tmp_path}/a.jsonl",))
    assert build(spec, 260, 16, tmp_path / "data").folder.name.startswith("text-v260-s16-")
    long = CorpusSpec("files", "ü" * 4000, paths=spec.paths)
    assert build(long, 260, 16, tmp_path / "data").folder.parent == tmp_path / "data"
