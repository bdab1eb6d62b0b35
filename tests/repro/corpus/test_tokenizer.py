import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from repro.corpus.bpe import BOS, EOS, train_bpe
from repro.corpus.pretrained import load_pretrained
from repro.corpus.tokenizer import Tokenizer
from repro.errors import UserError

TEXTS = [f"the number {n} and the word {word}, then naïve £ signs" for n in range(50) for word in ("sparse", "dense")]


def encoded(tokenizer, texts):
    """The ids of each text."""
    ids, lengths = tokenizer.encode_batch(texts, np.dtype(np.uint16))
    assert ids.dtype == np.uint16
    return np.split(ids, np.cumsum(lengths)[:-1])


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe([TEXTS], 300)


def test_the_vocabulary_has_exactly_the_size_asked_for(tokenizer):
    assert tokenizer.vocab_size == 300
    assert (tokenizer.bos, tokenizer.eos) == (0, 1)


def test_training_twice_gives_the_same_bytes(tokenizer):
    assert train_bpe([TEXTS[:30], TEXTS[30:]], 300).to_bytes() == tokenizer.to_bytes()


@pytest.mark.parametrize("text", ["the sparse word", "", "日本語 🙂", f"a text that spells {BOS} and {EOS}"])
def test_any_text_comes_back_from_its_tokens_between_one_bos_and_one_eos(tokenizer, text):
    [ids] = encoded(tokenizer, [text])
    assert (ids[0], ids[-1]) == (tokenizer.bos, tokenizer.eos)
    assert not np.isin(ids[1:-1], [tokenizer.bos, tokenizer.eos]).any()
    assert tokenizer.decode(ids[1:-1].tolist()) == text


def test_a_tokenizer_read_from_its_bytes_encodes_the_same(tokenizer):
    again = Tokenizer.from_bytes(tokenizer.to_bytes(), tokenizer.bos, tokenizer.eos)
    for a, b in zip(encoded(again, TEXTS), encoded(tokenizer, TEXTS), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def pretrained(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend, eos_token=EOS).save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
def test_a_hugging_face_tokenizer_with_one_mark_uses_it_as_both_bos_and_eos(tokenizer, pretrained):
    loaded = load_pretrained(pretrained, 300)
    assert loaded.bos == loaded.eos == tokenizer.eos
    np.testing.assert_array_equal(encoded(loaded, TEXTS[:1])[0][1:-1], encoded(tokenizer, TEXTS[:1])[0][1:-1])


@pytest.mark.slow
def test_a_hugging_face_tokenizer_larger_than_the_model_is_refused(pretrained):
    with pytest.raises(UserError, match=r"model.vocab[\s\S]*found:    299[\s\S]*at least 300"):
        load_pretrained(pretrained, 299)


@pytest.mark.slow
def test_a_tokenizer_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"corpus\.tokenizer"):
        load_pretrained(str(tmp_path), 300)
