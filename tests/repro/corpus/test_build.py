import dataclasses
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from repro.corpus import Corpus, build
from repro.errors import UserError
from repro.spec import CorpusSpec
from repro.store.folder import Folder


def no_progress(line):
    raise AssertionError(f"nothing was to be built, but: {line}")


def visible(root):
    return sorted(name for name in os.listdir(root) if not name.startswith("."))


@pytest.mark.slow
def test_two_builds_of_one_spec_are_one_corpus(pydoc_spec, pydoc_corpus, tmp_path):
    again = build(pydoc_spec, 300, 32, tmp_path, shard_bytes=51_282)
    assert again.hash == pydoc_corpus.hash
    assert again.folder.name == pydoc_corpus.folder.name
    assert len(again.train.shards) > len(pydoc_corpus.train.shards)
    np.testing.assert_array_equal(again.batch(3, 8, 0), pydoc_corpus.batch(3, 8, 0))


def test_a_whole_corpus_is_opened_and_not_built_again(pydoc_spec, pydoc_corpus, pydoc_root):
    again = build(pydoc_spec, 300, 32, Folder.open(pydoc_root), progress=no_progress)
    assert again.folder == pydoc_corpus.folder
    assert again.manifest == pydoc_corpus.manifest
    again.verify()


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"packing": "documents"}, {"heldout_fraction": 0.2}, {"max_documents": 40}])
def test_another_cut_of_the_text_is_another_corpus(pydoc_spec, pydoc_corpus, tmp_path, change):
    other = build(dataclasses.replace(pydoc_spec, **change), 300, 32, tmp_path)
    assert other.folder.name != pydoc_corpus.folder.name
    assert other.hash != pydoc_corpus.hash


def test_the_manifest_counts_what_the_shards_hold(pydoc_corpus):
    manifest = pydoc_corpus.manifest
    for split, rows in ((manifest.train, pydoc_corpus.train), (manifest.heldout, pydoc_corpus.heldout)):
        assert split.rows == len(rows) == sum(shard.rows for shard in split.shards)
        assert split.tokens == split.rows * 33
        assert all((rows.folder / shard.file).stat().st_size == shard.bytes for shard in split.shards)
        assert max(view.max() for view in rows.views) < 300
    assert manifest.licence == "PSF-2.0"
    assert manifest.heldout_groups is not None
    assert manifest.heldout.groups == len(manifest.heldout_groups)
    share = manifest.heldout.characters / (manifest.heldout.characters + manifest.train.characters)
    assert 0.1 <= share < 0.4


def test_documents_are_packed_whole_and_padding_is_not_counted(pydoc_spec, tmp_path):
    corpus = build(dataclasses.replace(pydoc_spec, packing="documents"), 300, 32, tmp_path)
    rows = np.concatenate(corpus.train.views)
    assert (rows[:, 0] == corpus.manifest.bos).all()
    assert corpus.manifest.train.tokens == int((rows != 65_535).sum())
    assert corpus.targets(rows[:8]).segments.min() >= 0


def test_the_declared_text_is_built_and_another_is_refused(pydoc_spec, pydoc_corpus, pydoc_root, tmp_path):
    right = dataclasses.replace(pydoc_spec, text_sha256=pydoc_corpus.manifest.text_sha256)
    assert build(right, 300, 32, pydoc_root, progress=no_progress).hash == pydoc_corpus.hash
    wrong = dataclasses.replace(pydoc_spec, text_sha256="0" * 64)
    for root in (pydoc_root, tmp_path):
        with pytest.raises(UserError, match=rf"corpus.text_sha256[\s\S]*{right.text_sha256}[\s\S]*0000"):
            build(wrong, 300, 32, root)
    assert visible(tmp_path) == []


def files_spec(folder, words="some words of text", count=60):
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:02d}.txt").write_text(f"{words} number {number}")
    return CorpusSpec("files", "mine", paths=(f"{folder}/*.txt",))


def test_changed_files_are_another_corpus_and_the_same_files_elsewhere_are_not(tmp_path):
    root = tmp_path / "corpora"
    first = build(files_spec(tmp_path / "a"), 260, 16, root)
    assert build(files_spec(tmp_path / "b"), 260, 16, root, progress=no_progress).folder == first.folder
    changed = build(files_spec(tmp_path / "a", words="other words of text"), 260, 16, root)
    assert changed.hash != first.hash
    assert len(visible(root)) == 2


BUILD = """
import os, signal, sys
from repro.corpus import build
from repro.spec import CorpusSpec

def progress(line):
    if sys.argv[2] in line:
        os.kill(os.getpid(), signal.SIGKILL)

print(build(CorpusSpec("package", "pydoc"), 300, 32, sys.argv[1], progress).hash)
"""


def builder(root, killed_at):
    return subprocess.Popen([sys.executable, "-c", BUILD, str(root), killed_at], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["training the tokenizer", "packing the train text"])
def test_a_killed_build_leaves_nothing_that_counts(tmp_path, stage):
    assert builder(tmp_path, killed_at=stage).wait() == -signal.SIGKILL
    assert visible(tmp_path) == []
    corpus = build(CorpusSpec("package", "pydoc"), 300, 32, tmp_path)
    corpus.verify()
    assert visible(tmp_path) == [corpus.folder.name]


@pytest.mark.slow
def test_two_processes_that_build_at_once_get_one_corpus(tmp_path):
    builders = [builder(tmp_path, killed_at="never") for _ in range(2)]
    hashes = {process.communicate()[0] for process in builders}
    assert [process.returncode for process in builders] == [0, 0]
    assert len(hashes) == 1
    assert len(visible(tmp_path)) == 1


def test_an_empty_corpus_leaves_nothing_behind(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(UserError, match="an empty corpus"):
        build(CorpusSpec("files", "mine", paths=(str(tmp_path / "empty.txt"),)), 260, 16, tmp_path / "corpora")
    assert visible(tmp_path / "corpora") == []


def test_a_corpus_shorter_than_one_row_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"too little text for one row[\s\S]*model.sequence"):
        build(files_spec(tmp_path / "a"), 260, 4096, tmp_path / "corpora")


def test_a_damaged_shard_stops_the_next_build_with_its_name(tmp_path):
    spec = files_spec(tmp_path / "a")
    corpus = build(spec, 260, 16, tmp_path / "corpora")
    shard = corpus.folder / corpus.train.shards[0].file
    os.truncate(shard, shard.stat().st_size - 8)
    with pytest.raises(UserError, match=r"a damaged token shard[\s\S]*train-00000.arrow"):
        build(spec, 260, 16, tmp_path / "corpora")


def test_a_corpus_of_another_schema_version_is_refused(tmp_path):
    corpus = build(files_spec(tmp_path / "a"), 260, 16, tmp_path / "corpora")
    path = corpus.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    with pytest.raises(UserError, match=r"schema_version[\s\S]*found:    99"):
        Corpus(corpus.folder)


def test_a_folder_without_a_manifest_is_no_corpus(tmp_path):
    with pytest.raises(UserError, match="not a corpus"):
        Corpus(tmp_path)


def test_real_text_of_botocore_becomes_a_corpus_of_whole_services(tmp_path):
    corpus = build(CorpusSpec("package", "botocore", max_documents=2000), 384, 64, tmp_path)
    manifest = corpus.manifest
    assert manifest.licence == "Apache-2.0"
    assert "botocore" in manifest.versions
    assert manifest.train.documents + manifest.heldout.documents == 2000
    assert manifest.heldout_groups is not None
    assert manifest.heldout.groups == len(manifest.heldout_groups) >= 1
    assert 0 <= manifest.overlap.share < 0.5
    assert corpus.unique_tokens > 50_000
    assert corpus.tokenizer.vocab_size == 384


def test_importing_the_package_loads_no_heavy_library():
    code = "import sys, repro.corpus; print(sorted({'torch', 'transformers', 'datasets', 'ray'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
