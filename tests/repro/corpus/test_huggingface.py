import json

import pytest

from repro.corpus import build
from repro.corpus.sources import open_source
from repro.errors import UserError
from repro.spec import CorpusSpec


@pytest.fixture
def dataset(tmp_path):
    """A folder in the layout of a hub dataset: train and validation as JSON lines."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for split, count in (("train", 60), ("validation", 12)):
        texts = [f"{split} document number {i}, " + "with some words " * (i % 7) for i in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return folder


@pytest.mark.slow
def test_a_dataset_is_streamed_in_its_own_order(dataset):
    documents = list(open_source(CorpusSpec("huggingface", str(dataset))).documents())
    assert len(documents) == 60
    assert documents[1].text.startswith("train document number 1,")


def test_a_datasets_own_split_is_held_out_whole_and_alone(dataset, tmp_path):
    spec = CorpusSpec("huggingface", str(dataset), heldout_split="validation", max_documents=50)
    corpus = build(spec, 260, 16, tmp_path / "corpora")
    assert (corpus.manifest.train.documents, corpus.manifest.heldout.documents) == (50, 12)
    decoded = corpus.tokenizer.decode(corpus.heldout.views[0].flatten().tolist())
    assert "validation document" in decoded
    assert "train document" not in decoded


def test_a_missing_field_is_refused_with_the_fields_there_are(dataset):
    with pytest.raises(UserError, match=r"corpus.text_field[\s\S]*fields text"):
        list(open_source(CorpusSpec("huggingface", str(dataset), text_field="body")).documents())


@pytest.mark.parametrize("change", [{"split": "test"}, {"subset": "en"}, {"name": "/no/such/dataset"}])
def test_what_cannot_be_read_is_one_message_and_no_traceback_of_the_library(dataset, change):
    spec = CorpusSpec(**{"source": "huggingface", "name": str(dataset), **change})
    with pytest.raises(UserError, match="the dataset could not be read"):
        list(open_source(spec).documents())


def change(file):
    file.write_text(file.read_text().replace("number 7,", "number seven,"))


def more(file):
    (file.parent / "train-2.jsonl").write_text('{"text": "one more document"}\n')


def rename(file):
    file.rename(file.with_name("train-renamed.jsonl"))


@pytest.mark.parametrize("way", [change, more, rename])
def test_a_local_dataset_that_has_changed_is_another_corpus(dataset, tmp_path, way):
    spec = CorpusSpec("huggingface", str(dataset), heldout_fraction=0.1)
    before = build(spec, 260, 16, tmp_path / "corpora")
    assert build(spec, 260, 16, tmp_path / "corpora").folder == before.folder
    way(dataset / "train.jsonl")
    after = build(spec, 260, 16, tmp_path / "corpora")
    assert after.folder != before.folder
    if way is not rename:
        assert after.manifest.text_sha256 != before.manifest.text_sha256


def test_a_local_dataset_is_found_by_home_and_variables(dataset, monkeypatch):
    monkeypatch.setenv("HOME", str(dataset.parent))
    monkeypatch.setenv("PLACE", str(dataset))
    for name in ("~/mine", "$PLACE"):
        assert len(list(open_source(CorpusSpec("huggingface", name)).documents())) == 60


def test_a_folder_that_is_linked_into_itself_is_looked_into_once(dataset, tmp_path):
    (dataset / "again").symlink_to(dataset)
    assert open_source(CorpusSpec("huggingface", str(dataset))).content(tmp_path)


@pytest.mark.parametrize("name", ["../../no/such", "a/b/c", "...", "x y/z", "owner/na--me"])
def test_what_is_neither_folder_nor_id_never_reaches_the_hub(name):
    with pytest.raises(UserError, match=r"corpus\.name"):
        list(open_source(CorpusSpec("huggingface", name)).documents())
