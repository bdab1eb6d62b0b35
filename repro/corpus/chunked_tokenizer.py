"""Tokenizers that can encode a text in chunks cut before spaces, so that each distinct chunk is encoded once.

A cut is made before a space between two printable ASCII characters. No token of these tokenizers crosses it, and the
text on one side doesn't affect the tokens on the other: in GPT-2's family because the pre-tokenizer's regular
expression always splits there, in Llama-2's because no vocabulary entry has a space after another character, so that
nothing is merged across it.
"""

from __future__ import annotations

import json
from array import array
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repro.corpus.chunks import by_size, bytes_of, distinct

if TYPE_CHECKING:
    import tokenizers

# Of GPT-2: what ByteLevel splits by, before it maps bytes to characters.
GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SPACE = "▁"  # how Llama-2's family writes a space
WORDS = tuple(  # of Llama-3 and GPT-4, and of Qwen; each splits before such a space
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
    + digits
    + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    for digits in (r"\p{N}{1,3}", r"\p{N}")
)
MEMORY_BYTES = 16 << 20  # bytes of cached chunks and their ids
SLICE_BYTES = 1 << 19  # bytes of text encoded at once: an encoding takes about a hundred bytes per token
Lead = Literal["never", "always", "first"]


class ChunkedTokenizer:
    """Encodes text by chunks and caches them, up to MEMORY_BYTES plus what one call adds.

    Args:
        backend: encodes a chunk as it is.
        lead: when a space is prepended to a text; "first": unless the text begins with one.
    """

    def __init__(self, backend: tokenizers.Tokenizer, lead: Lead):
        self._backend, self._lead = backend, lead
        self._chunks = pa.array([], pa.large_binary())
        self._ids, self._lengths = np.empty(0, np.uint32), np.empty(0, np.int64)

    def encode(self, texts: pa.LargeStringArray) -> TokenizedChunks:
        """The token ids of all texts, by chunk."""
        chunks, which, begins = self.cut(texts)
        known = pc.index_in(chunks, self._chunks)
        fresh = chunks.filter(known.is_null())
        if len(fresh):
            if self._chunks.nbytes + self._ids.nbytes > MEMORY_BYTES:
                self._chunks, fresh, known = chunks.slice(0, 0), chunks, pa.nulls(len(chunks), pa.int32())
                self._ids, self._lengths = self._ids[:0], self._lengths[:0]
            ids, lengths = ids_of(self._backend, fresh.cast(pa.large_string()).to_pylist())
            next_ones = np.arange(len(self._chunks), len(self._chunks) + len(fresh), dtype=np.int32)
            known = pc.replace_with_mask(known, known.is_null(), pa.array(next_ones))
            self._chunks = pa.concat_arrays([self._chunks, fresh])
            self._ids, self._lengths = np.append(self._ids, ids), np.append(self._lengths, lengths)
        return TokenizedChunks(self._ids, self._lengths, known.to_numpy()[which], begins)

    def cut(self, texts: pa.LargeStringArray) -> tuple[pa.LargeBinaryArray, np.ndarray, np.ndarray]:
        """The distinct chunks; the sequence of chunk indices; where in it each text begins and the last one ends."""
        if self._lead != "never":
            bare = pc.equal(pc.binary_length(texts), 0)
            if self._lead == "first":
                bare = pc.or_(bare, pc.or_(pc.starts_with(texts, " "), pc.starts_with(texts, SPACE)))
            space, nothing = (pa.scalar(text, pa.large_string()) for text in (" ", ""))
            texts = pc.if_else(bare, texts, pc.binary_join_element_wise(space, texts, nothing))
        data, bounds = bytes_of(texts)
        byte = np.frombuffer(data, np.uint8)
        printable = (byte > 32) & (byte < 127)
        begins = np.zeros(len(byte), bool)
        begins[1:-1] = (byte[1:-1] == 32) & printable[:-2] & printable[2:]
        some = bounds[:-1] < bounds[1:]
        begins[bounds[1:][some] - 1] = False  # a text's last byte: the next byte belongs to another text
        begins[bounds[:-1][some]] = True
        at = np.flatnonzero(begins)
        return *distinct(data, at), np.searchsorted(at, bounds)


class TokenizedChunks(NamedTuple):
    """Tokens by chunk. ids: all chunks' token ids, (n,) uint32; lengths: ids per chunk; which: chunk indices in the
    order of the texts; begins: where in that order each text begins and the last one ends, (texts + 1,)."""

    ids: np.ndarray
    lengths: np.ndarray
    which: np.ndarray
    begins: np.ndarray


def ids_of(backend: tokenizers.Tokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ids of all texts, (ids,) uint32, and the number of ids per text, (texts,). Uses the threads of `tokenizers`."""
    ids, lengths = array("I"), []
    for some in by_size(texts, len, SLICE_BYTES):
        for encoding in backend.encode_batch_fast(some, add_special_tokens=False):
            found = encoding.ids
            ids.extend(found)
            lengths.append(len(found))
    return np.frombuffer(ids, np.uint32) if ids else np.empty(0, np.uint32), np.array(lengths, np.int64)


def chunked(backend: tokenizers.Tokenizer) -> ChunkedTokenizer | None:
    """A chunked tokenizer with the same tokens as `backend`; None if `backend` isn't known to allow one."""
    from tokenizers import Tokenizer

    state = json.loads(backend.to_str())
    model, normalizer, words = state["model"], state["normalizer"], state["pre_tokenizer"]
    if (
        model["type"] != "BPE"
        or any(model.get(key) for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
        or not all(map(_stays_inside, state["added_tokens"]))
    ):
        return None
    if normalizer in (None, {"type": "NFC"}) and _parts_at_spaces(words):
        return ChunkedTokenizer(backend, "never")
    lead = _lead(normalizer, words)
    if lead not in (None, "never") and not all(added["special"] for added in state["added_tokens"]):
        return None  # after an added token, a space is prepended as at the beginning of a text
    vocab = model["vocab"]
    if lead is None or model.get("ignore_merges") or SPACE not in vocab or any(map(_crosses, vocab)):
        return None
    state["normalizer"] = _replace()
    state["pre_tokenizer"] = None
    own = Tokenizer.from_str(json.dumps(state))
    own.encode_special_tokens = backend.encode_special_tokens
    return ChunkedTokenizer(own, lead)


def _stays_inside(added: dict[str, Any]) -> bool:
    """Whether an added token can't cross a cut. Special tokens are never matched in text."""
    content = added["content"]
    if added["special"]:
        return True
    if added["lstrip"] or added["rstrip"] or added["single_word"]:
        return False
    return len(content) > 1 if content.isspace() else " " not in content and not _crosses(content)


def _parts_at_spaces(words: dict[str, Any] | None) -> bool:
    if words is None:
        return False
    if _is_split(words, GPT2_WORDS):
        return True
    *first, last = words["pretokenizers"] if words["type"] == "Sequence" else [words]
    if last["type"] != "ByteLevel" or last["add_prefix_space"]:
        return False
    known = [_is_known(part) for part in first if part["type"] != "Digits"]
    return all(known) and (bool(known) or last["use_regex"])


def _is_known(part: dict[str, Any]) -> bool:
    return any(_is_split(part, pattern) for pattern in WORDS)


def _is_split(part: dict[str, Any], pattern: str) -> bool:
    return part == {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _replace() -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}


def _lead(normalizer: dict[str, Any] | None, words: dict[str, Any] | None) -> Lead | None:
    """When a tokenizer that writes spaces as SPACE prepends one to a text; None for other tokenizers."""
    if words is None:
        if normalizer == _replace():
            return "never"
        if normalizer == {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, _replace()]}:
            return "always"
        return None
    if normalizer is None and words["type"] == "Metaspace" and words["replacement"] == SPACE and not words["split"]:
        return "never" if words["prepend_scheme"] == "never" else "first"
    return None


def _crosses(token: str) -> bool:
    return SPACE in token.lstrip(SPACE)
