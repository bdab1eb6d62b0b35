import pytest

from repro.corpus.spool import ingest, place
from repro.errors import UserError
from repro.spec import CorpusSpec


def spool_of(tmp_path, texts, **fields):
    folder = tmp_path / "text"
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number:03d}.txt").write_text(text)
    spec = CorpusSpec("files", "mine", paths=(f"{folder}/*.txt",), **fields)
    return ingest(spec, tmp_path / "text.arrow")


def sides(spool):
    """(group, text) of what is held out and of what is not."""
    return [
        [document for batch in spool.read(heldout=heldout) for document in zip(*batch, strict=True)]
        for heldout in (True, False)
    ]


def test_every_document_is_on_one_side_and_no_group_on_both(tmp_path):
    texts = [f"text {i % 40} " * 10 for i in range(60)]  # twenty texts come twice
    heldout, train = sides(spool_of(tmp_path, texts, heldout_fraction=0.2))
    assert sorted(text for _, text in heldout + train) == sorted(texts)
    assert heldout
    assert not {group for group, _ in heldout} & {group for group, _ in train}


def test_groups_are_held_out_in_the_order_of_their_place_until_the_share_is_reached(tmp_path):
    texts = [f"text {i:03d}" for i in range(100)]
    heldout, train = sides(spool_of(tmp_path, texts, heldout_fraction=0.065))
    assert len(heldout) == 7
    assert max(place(group) for group, _ in heldout) < min(place(group) for group, _ in train)


def test_blank_documents_are_left_out_and_max_documents_counts_the_others(tmp_path):
    heldout, train = sides(spool_of(tmp_path, ["a", " \n", "b", "c", "d"], max_documents=3))
    assert sorted(text for _, text in heldout + train) == ["a", "b", "c"]


def test_a_lone_surrogate_is_replaced(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "bad \\ud800 mark"}\n{"text": "good"}\n')
    spool = ingest(CorpusSpec("files", "mine", paths=(f"{tmp_path}/a.jsonl",)), tmp_path / "text.arrow")
    heldout, train = sides(spool)
    assert {text for _, text in heldout + train} == {"bad ? mark", "good"}


@pytest.mark.parametrize("texts", [[""], ["  ", "\n"]])
def test_an_empty_corpus_is_refused(tmp_path, texts):
    with pytest.raises(UserError, match=r"an empty corpus[\s\S]*text/\*.txt[\s\S]*at least one document"):
        spool_of(tmp_path, texts)


def test_a_corpus_of_one_group_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be split"):
        spool_of(tmp_path, ["all there is"])
