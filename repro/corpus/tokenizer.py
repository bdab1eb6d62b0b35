"""A tokenizer as training sees it: between BOS and EOS, whether trained here (bpe.py) or from Hugging Face."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from repro.corpus.chunked_tokenizer import ChunkedTokenizer, TokenizedChunks, chunked, ids_of
from repro.corpus.chunks import gather
from repro.errors import UserError

if TYPE_CHECKING:
    import tokenizers
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Tokenizer:
    """Encodes texts, each between `bos` and `eos` (which may be the same id, as in GPT-2 and Pythia)."""

    backend: tokenizers.Tokenizer
    bos: int
    eos: int

    def __post_init__(self) -> None:
        # "<eos>" in a text is plain text; only this class marks where documents begin and end.
        self.backend.encode_special_tokens = True

    @property
    def vocab_size(self) -> int:
        """One more than the highest id: added tokens may leave gaps."""
        return 1 + max(self.backend.get_vocab(with_added_tokens=True).values())

    @property
    def unknown(self) -> int | None:
        """Id of the token that stands for characters outside the vocabulary; None: there is none."""
        token = getattr(self.backend.model, "unk_token", None)
        return None if token is None else self.backend.token_to_id(token)

    def encode_batch(self, texts: list[str] | pa.LargeStringArray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
        """Token ids of all texts, each with BOS and EOS, (tokens,) of `dtype`, and tokens per text, (texts,)."""
        texts = pa.array(texts, pa.large_string()) if isinstance(texts, list) else texts
        if self._chunked:
            chunks = self._chunked.encode(texts)
        else:
            own = np.arange(len(texts) + 1)
            chunks = TokenizedChunks(*ids_of(self.backend, texts.to_pylist()), own[:-1], own)
        bos, eos = len(chunks.lengths), len(chunks.lengths) + 1  # as two more chunks
        ends = np.stack([chunks.begins[:-1], chunks.begins[1:]], axis=1).reshape(-1)
        lengths = np.append(chunks.lengths, [1, 1])
        tokens, until = gather(
            np.append(chunks.ids, np.array([self.bos, self.eos], np.uint32)).astype(dtype),
            np.cumsum(lengths) - lengths,
            lengths,
            np.insert(chunks.which, ends, [bos, eos] * len(texts)),
        )
        return tokens, np.diff(until[chunks.begins + 2 * np.arange(len(texts) + 1)])

    @cached_property
    def _chunked(self) -> ChunkedTokenizer | None:
        return chunked(self.backend)

    def decode(self, ids: Iterable[int]) -> str:
        return self.backend.decode(list(ids), skip_special_tokens=False)

    def to_bytes(self) -> bytes:
        """The contents of a tokenizer.json."""
        return self.backend.to_str(pretty=True).encode()

    def for_transformers(self, **facts: Any) -> PreTrainedTokenizerFast:
        """The same tokenizer as a transformers object, which begins a text with BOS, as in training.

        Args:
            facts: further arguments of PreTrainedTokenizerFast.
        """
        from tokenizers import Tokenizer as Backend
        from tokenizers.processors import TemplateProcessing
        from transformers import PreTrainedTokenizerFast

        backend = Backend.from_str(self.backend.to_str())
        bos, eos = (backend.id_to_token(i) for i in (self.bos, self.eos))
        backend.post_processor = TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, self.bos)]
        )
        if self.unknown is not None:
            facts["unk_token"] = backend.id_to_token(self.unknown)
        return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=bos, eos_token=eos, **facts)

    @classmethod
    def from_bytes(cls, data: bytes, bos: int, eos: int) -> Tokenizer:
        """Raises UserError if `data` isn't a valid tokenizer.json."""
        import tokenizers

        try:
            return cls(tokenizers.Tokenizer.from_str(data.decode()), bos, eos)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # the library raises plain Exceptions, and its panics aren't Exceptions
            raise UserError(
                "not a tokenizer",
                key="tokenizer.json",
                found=str(error)[:300],
                expected="a tokenizer.json of tokenizers",
            ) from error
