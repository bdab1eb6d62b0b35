import hashlib

import pytest

from repro.console.progress import TimedProgress
from repro.corpus.extract import TrainingText, extract, place
from repro.corpus.pool import Pool
from repro.errors import UserError
from repro.spec import CorpusSpec
from repro.store.folder import Folder


def ingested(spec, tmp_path, **how):
    work = Folder.open(tmp_path / "work")
    return extract(spec, work, Pool(), TimedProgress(print, "corpus"), **how), work


def extracted_from(tmp_path, texts, part_bytes=1000, **fields):
    folder = tmp_path / "text"
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number:03d}.txt").write_text(text)
    spec = CorpusSpec("files", "mine", paths=(f"{folder}/*.txt",), **fields)
    return ingested(spec, tmp_path, part_bytes=part_bytes)


def sides(extracted, work):
    """(group, text) of what is held out and of what is not."""
    return [
        [
            document
            for number in extracted.side(heldout=heldout)
            for groups, texts in [extracted.read(work, number, heldout=heldout)]
            for document in zip(groups, texts.to_pylist(), strict=True)
        ]
        for heldout in (True, False)
    ]


def test_every_document_is_on_one_side_and_no_group_on_both(tmp_path):
    texts = [f"text {i % 40} " * 10 for i in range(60)]  # twenty texts come twice
    heldout, train = sides(*extracted_from(tmp_path, texts, heldout_fraction=0.2))
    assert sorted(text for _, text in heldout + train) == sorted(texts)
    assert heldout
    assert not {group for group, _ in heldout} & {group for group, _ in train}


def test_groups_are_held_out_in_the_order_of_their_place_until_the_share_is_reached(tmp_path):
    texts = [f"text {i:03d}" for i in range(100)]
    heldout, train = sides(*extracted_from(tmp_path, texts, heldout_fraction=0.065))
    assert len(heldout) == 7
    assert max(place(group) for group, _ in heldout) < min(place(group) for group, _ in train)


def test_blank_documents_are_left_out_and_max_documents_counts_the_others(tmp_path):
    heldout, train = sides(*extracted_from(tmp_path, ["a", " \n", "b", "c", "d"], max_documents=3))
    assert sorted(text for _, text in heldout + train) == ["a", "b", "c"]


def test_a_lone_surrogate_is_replaced(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "bad \\ud800 mark"}\n{"text": "good"}\n')
    heldout, train = sides(*ingested(CorpusSpec("files", "mine", paths=(f"{tmp_path}/a.jsonl",)), tmp_path))
    assert {text for _, text in heldout + train} == {"bad ? mark", "good"}


@pytest.mark.parametrize("part_bytes", [1, 40, 10**6])
def test_the_parts_bear_on_nothing(tmp_path, part_bytes):
    texts = [f"text {i:03d}" for i in range(100)]
    extracted, work = extracted_from(tmp_path, texts, part_bytes, heldout_fraction=0.2, max_documents=77)
    assert sum(part.documents for part in extracted.parts) == 77
    assert extracted.sha256 == hashlib.sha256("".join(f"{text}\0" for text in texts[:77]).encode()).hexdigest()
    heldout, train = sides(extracted, work)
    assert [text for _, text in train] == [text for text in texts[:77] if text not in {text for _, text in heldout}]
    assert max(place(group) for group, _ in heldout) < min(place(group) for group, _ in train)


def test_a_tokenizer_is_trained_on_the_same_batches_whatever_the_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("repro.corpus.extract.BATCH_BYTES", 100)
    texts = [f"text {i:03d}" for i in range(100)]
    found = []
    for part_bytes in (1, 130, 10**6):
        (tmp_path / str(part_bytes)).mkdir()
        extracted, work = extracted_from(tmp_path / str(part_bytes), texts, part_bytes, heldout_fraction=0.2)
        found.append(list(TrainingText(extracted, work)))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 8  # eight bytes a text, so thirteen texts a batch


@pytest.mark.parametrize("texts", [[""], ["  ", "\n"]])
def test_an_empty_corpus_is_refused(tmp_path, texts):
    with pytest.raises(UserError, match=r"an empty corpus[\s\S]*text/\*.txt[\s\S]*at least one document"):
        extracted_from(tmp_path, texts)


def test_a_corpus_of_one_group_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be split"):
        extracted_from(tmp_path, ["all there is"])
