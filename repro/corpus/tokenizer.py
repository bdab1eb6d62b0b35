"""Text to token ids: a byte-level BPE trained on the corpus, or any Hugging Face tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from repro.corpus.chunked_tokenizer import Apart, TokenizedPieces, apart, ids_of
from repro.corpus.chunks import joined
from repro.errors import UserError

if TYPE_CHECKING:
    import tokenizers
    from transformers import PreTrainedTokenizerFast

BOS, EOS = "<bos>", "<eos>"
# Merges no longer change beyond this much text, but the time to count pairs does.
TRAINING_CHARACTERS = 200_000_000


@dataclass(frozen=True)
class Tokenizer:
    """Ids of texts, each between `bos` and `eos` (which may be one id, as in GPT-2 and Pythia)."""

    backend: tokenizers.Tokenizer
    bos: int
    eos: int

    def __post_init__(self) -> None:
        # A text that spells "<eos>" is text; only we mark where documents begin and end.
        self.backend.encode_special_tokens = True

    @property
    def vocab_size(self) -> int:
        """One more than the highest id: added tokens may leave gaps."""
        return 1 + max(self.backend.get_vocab(with_added_tokens=True).values())

    def encode_batch(self, texts: list[str] | pa.LargeStringArray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        """Token ids of all texts, BOS and EOS added to each, (tokens,) of `dtype`, and how many are whose, (texts,)."""
        texts = pa.array(texts, pa.large_string()) if isinstance(texts, list) else texts
        if self._apart:
            pieces = self._apart.encode(texts)
        else:
            own = np.arange(len(texts) + 1)
            pieces = TokenizedPieces(*ids_of(self.backend, texts.to_pylist()), own[:-1], own)
        bos, eos = len(pieces.lengths), len(pieces.lengths) + 1  # as two pieces more
        ends = np.stack([pieces.begins[:-1], pieces.begins[1:]], axis=1).reshape(-1)
        lengths = np.append(pieces.lengths, [1, 1])
        tokens, until = joined(
            np.append(pieces.ids, np.array([self.bos, self.eos], np.uint32)).astype(dtype),
            np.cumsum(lengths) - lengths,
            lengths,
            np.insert(pieces.which, ends, [bos, eos] * len(texts)),
        )
        return tokens, np.diff(until[pieces.begins + 2 * np.arange(len(texts) + 1)])

    @cached_property
    def _apart(self) -> Apart | None:
        return apart(self.backend)

    def decode(self, ids: Iterable[int]) -> str:
        return self.backend.decode(list(ids), skip_special_tokens=False)

    def to_bytes(self) -> bytes:
        """The contents of a tokenizer.json."""
        return self.backend.to_str(pretty=True).encode()

    def for_transformers(self, **facts: Any) -> PreTrainedTokenizerFast:
        """The same tokenizer of transformers' own kind: it begins a text with BOS, as every document did in training.

        Args:
            facts: of PreTrainedTokenizerFast.
        """
        from tokenizers import Tokenizer as Backend
        from tokenizers.processors import TemplateProcessing
        from transformers import PreTrainedTokenizerFast

        backend = Backend.from_str(self.backend.to_str())
        bos, eos = (backend.id_to_token(i) for i in (self.bos, self.eos))
        backend.post_processor = TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, self.bos)]
        )
        return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=bos, eos_token=eos, **facts)

    @classmethod
    def from_bytes(cls, data: bytes, bos: int, eos: int) -> Tokenizer:
        """Raises UserError when `data` is no tokenizer.json."""
        import tokenizers

        try:
            return cls(tokenizers.Tokenizer.from_str(data.decode()), bos, eos)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except (
            BaseException
        ) as error:  # the library raises plain Exceptions, and where its own code panics no Exception
            raise UserError(
                "not a tokenizer",
                key="tokenizer.json",
                found=str(error)[:300],
                expected="a tokenizer.json of tokenizers",
            ) from error


def train_bpe(texts: Iterable[list[str]], vocab: int) -> Tokenizer:
    """A byte-level BPE of exactly `vocab` entries: <bos>, <eos>, 256 bytes, then merges.

    Args:
        texts: batches of training text, of which the first TRAINING_CHARACTERS are used.
        vocab: size of the vocabulary, in tokens.

    Raises:
        UserError: the vocabulary has no room for the bytes, or the text has too few pairs to fill it.
    """
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if vocab < len(alphabet) + 2:
        raise UserError(
            "vocabulary too small for a byte-level BPE",
            key="model.vocab",
            found=vocab,
            expected=f"at least {len(alphabet) + 2}: 256 bytes, {BOS} and {EOS}",
        )
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(
        _first(texts, TRAINING_CHARACTERS),
        trainers.BpeTrainer(
            vocab_size=vocab, special_tokens=[BOS, EOS], initial_alphabet=alphabet, show_progress=False
        ),
    )
    if backend.get_vocab_size() != vocab:
        raise UserError(
            "too little text for this vocabulary",
            key="model.vocab",
            found=vocab,
            expected=f"at most {backend.get_vocab_size()}, which is all that this text can be merged into",
        )
    ids = backend.get_vocab()
    return Tokenizer(backend, ids[BOS], ids[EOS])


def _first(batches: Iterable[list[str]], characters: int) -> Iterator[list[str]]:
    seen = 0
    for batch in batches:
        yield batch
        seen += sum(map(len, batch))
        if seen >= characters:
            return
