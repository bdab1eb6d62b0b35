"""Which text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from repro.errors import UserError
from repro.spec.identity import LABEL

MOST = 10**15  # documents, or tokens: more than anybody has
LONGEST = 4096  # characters of a name or path


@dataclass(frozen=True)
class CorpusSpec:
    """Which text, cut into tokens how.

    source: "package" (text that the package `name` ships), "huggingface" (dataset id `name`), "files"
    (`paths`, of which only the content bears identity; `name` labels it).
    tokenizer: "bpe" trains a byte-level BPE of the model's vocabulary on the text; else a Hugging Face id.
    packing: "concatenate" cuts one stream of documents; "documents" is the authors' way: each document cut
    at sequence + 1 tokens, the rest dropped, whole documents packed, attention inside a document.
    heldout_split: a split of the dataset; null holds out whole groups (services, documents) until
    `heldout_fraction` of the text is reached.
    max_documents: stop ingesting after so many; null takes all.
    text_sha256: if given, the extracted text must have this hash.
    """

    source: Literal["package", "huggingface", "files"]
    name: str
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    text_field: str = "text"
    tokenizer: str = "bpe"
    packing: Literal["concatenate", "documents"] = "concatenate"
    heldout_split: str | None = None
    heldout_fraction: float = 0.03
    max_documents: int | None = None
    text_sha256: str | None = None
    unique_tokens: float | None = field(default=None, metadata=LABEL)
    paths: tuple[str, ...] = field(default=(), metadata=LABEL)

    def __post_init__(self) -> None:
        if not 0 < self.heldout_fraction < 0.5:
            raise UserError(
                "held-out share out of range",
                key="heldout_fraction",
                found=self.heldout_fraction,
                expected="0 < share < .5",
            )
        if self.source == "files" and not self.paths:
            raise UserError("no files named", key="paths", expected="a list of files or globs")
        if self.unique_tokens is not None and not 0 < self.unique_tokens <= MOST:
            raise UserError(
                "tokens out of range",
                key="unique_tokens",
                found=self.unique_tokens,
                expected="more than 0, at most 1e15",
            )
        if self.max_documents is not None and not 1 <= self.max_documents <= MOST:
            raise UserError(
                "documents out of range",
                key="max_documents",
                found=self.max_documents,
                expected="1 to 1e15, or null: all",
            )
        if self.text_sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.text_sha256):
            raise UserError(
                "not a SHA-256", key="text_sha256", found=repr(self.text_sha256)[:80], expected="64 digits of 0-9a-f"
            )
        for key in ("name", "subset", "split", "revision", "text_field", "tokenizer", "heldout_split"):
            _check_word(getattr(self, key), key)
        for at, path in enumerate(self.paths):
            _check_word(path, f"paths[{at}]")
        self._check_source()

    def _check_source(self) -> None:
        """Refuses what another kind of source would ignore, and text that is held out and trained on."""
        given: dict[str, Any] = {"paths": self.paths if self.source != "files" else ()}
        if self.source != "huggingface":
            given |= {"subset": self.subset, "revision": self.revision}
            given["split"] = None if self.split == "train" else self.split
        elif self.heldout_split == self.split:
            raise UserError(
                "the text that is trained on is held out, too",
                key="heldout_split",
                found=self.heldout_split,
                expected=f"another split than {self.split}, or null",
            )
        for key, value in given.items():
            if value:
                raise UserError(
                    "a key that this source doesn't have",
                    key=key,
                    found=value,
                    expected=f"nothing, with source: {self.source}",
                )


def _check_word(text: str | None, key: str) -> None:
    if text is None or (text.strip() and text.isprintable() and len(text) <= LONGEST):
        return
    raise UserError(
        "no name", key=key, found=repr(text)[:80], expected=f"1 to {LONGEST:,} characters that can be printed"
    )
