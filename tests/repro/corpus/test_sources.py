import dataclasses

import pytest

from repro.corpus.prose import MIN_CHARACTERS, strip_markup
from repro.corpus.sources import open_source
from repro.errors import UserError
from repro.spec import CorpusSpec


def test_a_source_yields_the_same_documents_in_the_same_order_each_time():
    source = open_source(CorpusSpec("package", "pydoc"))
    first = list(source.documents())
    assert first == list(source.documents())
    assert len({document.group for document in first}) == len(first) > 50


def test_markup_becomes_text_with_single_spaces_and_no_gap_before_punctuation():
    markup = "<p>Use <code>A&lt;B&gt;</code>, or\n <a href='x'>C</a>.</p><ul><li>one</li><li>two</li></ul>"
    assert strip_markup(markup) == "Use A<B>, or C. one two"


def test_botocore_gives_plain_english_grouped_by_service_with_no_string_twice():
    source = open_source(CorpusSpec("package", "botocore"))
    documents = []
    for document in source.documents():
        documents.append(document)
        if len(documents) == 2000:
            break
    texts = [document.text for document in documents]
    assert len(set(texts)) == 2000
    assert min(map(len, texts)) >= MIN_CHARACTERS
    assert not any("<p>" in text or "\n" in text for text in texts)
    groups = list(dict.fromkeys(document.group for document in documents))
    assert groups == sorted(groups)
    assert "accessanalyzer" in groups
    assert source.licence == "Apache-2.0"
    assert "botocore" in source.versions


def test_an_unknown_package_is_refused_with_the_known_ones_named():
    with pytest.raises(UserError, match=r"botocore, .*, pydoc"):
        open_source(CorpusSpec("package", "numpy"))


def test_a_source_without_splits_refuses_a_held_out_split():
    spec = dataclasses.replace(CorpusSpec("package", "pydoc"), heldout_split="validation")
    with pytest.raises(UserError, match=r"corpus\.heldout_split"):
        open_source(spec)
