"""`python -m repro corpus`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from repro.__main__ import main
from repro.corpus import Corpus, build
from repro.corpus.shards import histogram
from repro.spec import CorpusSpec


@pytest.fixture
def sweep(tmp_path: Path, pydoc_root: Path, pydoc_corpus: Corpus) -> Path:
    """The head of a sweep whose text is built already."""
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "corpus: {source: package, name: pydoc, heldout_fraction: 0.1}\n"
        f"model: {{vocab: 300, sequence: 32}}\nstorage: {{corpus: {pydoc_root}}}\n"
    )
    return file


def test_build_describes_what_there_is(sweep: Path, pydoc_corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", "build", str(sweep)]) == 0
    out = capsys.readouterr().out
    assert pydoc_corpus.hash in out
    assert f"unused      {pydoc_corpus.manifest.unused} of 300 ids" in out


def test_of_a_sweep_with_sizes_the_share_of_idle_weights_is_said_and_of_a_folder_that_of_the_head(
    sweep: Path, pydoc_corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    text = sweep.read_text().replace("sequence: 32", "sequence: 32, layers: 1, heads: 1")
    sweep.write_text(text + "sizes: {4k: {d_model: 8, mlp: 32, lr: .01}, odd: {d_model: 9}}\n")
    idle = pydoc_corpus.manifest.unused or 0
    share = idle * 8 / (4 * 64 + 3 * 8 * 32 + 300 * 8)
    for verb in ("build", "inspect"):
        assert main(["corpus", verb, str(sweep)]) == 0
        assert f"{share:.1%} of 4k's prunable weights" in capsys.readouterr().out
    assert main(["corpus", "inspect", str(pydoc_corpus.folder)]) == 0
    assert f"{idle / 300:.1%} of the LM head's rows" in capsys.readouterr().out


def test_inspect_counts_every_token_of_the_training_rows(
    sweep: Path, pydoc_corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["corpus", "inspect", str(sweep), "--json", "--samples", "3"]) == 0
    by_spec = json.loads(capsys.readouterr().out)
    assert main(["corpus", "inspect", str(pydoc_corpus.folder), "--json", "--samples", "3"]) == 0
    assert json.loads(capsys.readouterr().out) == by_spec
    rows = np.concatenate(pydoc_corpus.train.views)
    assert by_spec["histogram"]["counts"] == [int((rows == i).sum()) for i in range(300)]
    assert by_spec["samples"]["train"] == [pydoc_corpus.tokenizer.decode(row.tolist()) for row in rows[:3]]
    assert by_spec["manifest"]["train"]["tokens"] == rows.size
    assert main(["corpus", "inspect", str(sweep)]) == 0
    assert f"{pydoc_corpus.unique_tokens:,} training tokens" in capsys.readouterr().out


def test_a_histogram_leaves_padding_out(pydoc_spec: CorpusSpec, tmp_path: Path) -> None:
    corpus = build(replace(pydoc_spec, packing="documents"), 300, 512, tmp_path)
    found = histogram(corpus.train, 300)
    assert found.counts.sum() == corpus.manifest.train.tokens < corpus.train.views[0].size
    top = found.most_frequent(300)
    assert found.covering(1.0) == len(top) == 300 - found.unused
    assert found.counts[top[: found.covering(0.5)]].sum() >= found.counts.sum() / 2
    assert found.counts[top[: found.covering(0.5) - 1]].sum() < found.counts.sum() / 2
    assert 0 < found.entropy < np.log2(300)
    assert corpus.manifest.unused == found.unused > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "{sweep}", "--workers", "0"], "--workers"),
        (["build", "{folder}/none.yaml"], "no such file"),
        (["inspect", "{folder}/none"], "not on this machine"),
        (["inspect", "{folder}"], "not a corpus"),
        (["inspect", "{unbuilt}"], "corpus build"),
    ],
)
def test_what_cannot_be_is_refused(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    unbuilt = tmp_path / "unbuilt.yaml"
    unbuilt.write_text(sweep.read_text().replace("vocab: 300", "vocab: 301"))
    given = [word.format(sweep=sweep, folder=tmp_path, unbuilt=unbuilt) for word in words]
    assert main(["corpus", *given]) == 2
    assert said in capsys.readouterr().err


def test_inspect_holds_every_shard_against_its_hash(
    pydoc_corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in pydoc_corpus.folder.iterdir():
        data = bytearray(path.read_bytes())
        if path.name == "train-00001.arrow":
            data[-400] ^= 1
        (folder / path.name).write_bytes(data)
    assert main(["corpus", "inspect", str(folder)]) == 2
    assert "train-00001.arrow" in capsys.readouterr().err
