"""Corpora and tokenizers from somebody else: what they say is checked before it becomes a path, a size or a loop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repro.__main__ import main
from repro.corpus import Corpus, build, describe
from repro.corpus.pretrained import load_pretrained
from repro.corpus.tokenizer import Tokenizer
from repro.errors import UserError
from repro.spec import CorpusSpec


@pytest.fixture
def copy(pydoc_corpus: Corpus, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pydoc_corpus.folder, tmp_path / "corpora" / pydoc_corpus.folder.name))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def shard(key: str, value: Any, number: int = 0) -> Callable[[dict[str, Any]], object]:
    return lambda manifest: manifest["train"]["shards"][number].update({key: value})


def top(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda manifest: manifest.update({key: value})


def swapped(manifest: dict[str, Any]) -> None:
    shards = manifest["train"]["shards"]
    shards[0], shards[1] = shards[1], shards[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "key"),
    [
        (shard("file", "../../../etc/passwd"), r"train.shards\[0\].file"),
        (shard("file", "/etc/passwd"), r"train.shards\[0\].file"),
        (shard("file", "train-00001.arrow"), r"train.shards\[0\].file"),
        (shard("file", "heldout-00000.arrow"), r"train.shards\[0\].file"),
        (swapped, r"train.shards\[0\].file"),
        (shard("rows", 10**18), "train.rows"),
        (shard("rows", -5), "train.rows"),
        (shard("bytes", 10), r"train.shards\[0\].rows"),
        (shard("sha256", "x" * 64), r"train.shards\[0\].sha256"),
        (shard("group_rows", 0), r"train.shards\[0\].groups"),
        (shard("group_rows", 1), r"train.shards\[0\].groups"),
        (shard("groups", []), r"train.shards\[0\].groups"),
        (shard("group_rows", None), r"train.shards\[0\].groups"),
        (lambda m: m["train"].update(shards=[]), "train.rows"),
        (lambda m: m["heldout"].update(rows=10**30), "heldout.rows"),
        (lambda m: m["train"].update(documents=-1), "train"),
        (top("vocab", 10**30), "vocab"),
        (top("sequence", 10**12), "sequence"),
        (top("sequence", -1), "sequence"),
        (top("bos", 300), "bos"),
        (top("eos", -1), "eos"),
        (top("tokenizer_sha256", "../x"), "tokenizer_sha256"),
        (top("vocab", "300"), "vocab"),
        (top("train", [1]), "train"),
        (top("surprise", 1), "surprise"),
        (top("schema_version", 2), "schema_version"),
        (lambda m: m["spec"].update(max_documents=-1), "spec.max_documents"),
    ],
)
def test_a_manifest_that_says_what_cannot_be_is_refused_by_key(
    copy: Path, change: Callable[[dict[str, Any]], object], key: str
) -> None:
    edit(copy, change)
    with pytest.raises(UserError, match=rf"manifest\.json\n +key: +{key}\n"):
        Corpus(copy)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"3", b"\xff\xfe{}", b"[" * 200_000, b'{"schema_version": ' + b"9" * 5000 + b"}"],
    ids=range(8),
)
def test_a_manifest_that_is_none_is_refused(copy: Path, data: bytes) -> None:
    (copy / "manifest.json").write_bytes(data)
    with pytest.raises(UserError, match=r"manifest\.json"):
        Corpus(copy)


def test_a_manifest_of_another_text_is_noticed(copy: Path, pydoc_corpus: Corpus) -> None:
    edit(copy, lambda manifest: manifest["train"].update(sha256="0" * 64))
    assert Corpus(copy).hash != pydoc_corpus.hash
    with pytest.raises(UserError, match="of all rows"):
        Corpus(copy).verify()


def test_a_description_moves_no_cursor(copy: Path) -> None:
    edit(copy, top("licence", "MIT\x1b[2J\x07"))
    assert "\x1b" not in describe(Corpus(copy))


@pytest.mark.parametrize("harm", [lambda path: path.write_text("{}"), lambda path: path.unlink()])
def test_another_tokenizer_is_noticed_when_it_is_used_and_by_verify(
    copy: Path, capsys: pytest.CaptureFixture[str], harm: Callable[[Path], object]
) -> None:
    assert main(["corpus", "verify", str(copy)]) == 0
    harm(copy / "tokenizer.json")
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        _ = Corpus(copy).tokenizer
    capsys.readouterr()
    for verb in ("verify", "inspect"):
        assert main(["corpus", verb, str(copy)]) == 2
        assert "tokenizer.json" in capsys.readouterr().err


def test_verify_reads_the_source_anew_when_it_is_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text("".join(f'{{"text": "a text, number {i}"}}\n\n' for i in range(99)) + '{"text": " "}\n')
    spec = CorpusSpec("files", "mine", paths=(str(source),), max_documents=90)
    folder = str(build(spec, 260, 16, tmp_path / "data").folder)
    assert main(["corpus", "verify", folder, "--source"]) == 0
    source.write_text(source.read_text().replace("number 8", "number eight"))
    assert main(["corpus", "verify", folder]) == 0
    assert main(["corpus", "verify", folder, "--source"]) == 2
    assert "text has changed" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"model": ' + b"[" * 100_000])
def test_what_is_no_tokenizer_is_refused(data: bytes) -> None:
    with pytest.raises(UserError, match="not a tokenizer"):
        Tokenizer.from_bytes(data, 0, 1)


@pytest.mark.slow
def test_a_tokenizer_never_runs_code_of_its_own_even_if_someone_says_yes(tmp_path: Path) -> None:
    folder, mark = tmp_path / "tokenizer", tmp_path / "it ran"
    folder.mkdir()
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w')\nclass Own: pass\n")
    (folder / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}')
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}}'
    )
    call = (
        "from repro.corpus.pretrained import load_pretrained\n"
        "from repro.errors import UserError\n"
        f"try: load_pretrained({str(folder)!r}, 300)\n"
        "except UserError as error: print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", call], input="y\n" * 9, capture_output=True, text=True, env=environment, timeout=120
    )
    assert "never run" in ended.stdout, ended.stderr
    assert not mark.exists()


@pytest.mark.slow
def test_a_tokenizer_that_is_broken_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"corpus\.tokenizer") as refused:
        load_pretrained(str(tmp_path), 300)
    assert "Traceback" not in str(refused.value)
