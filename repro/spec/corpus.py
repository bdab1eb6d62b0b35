"""Which text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from repro.errors import UserError
from repro.spec.identity import LABEL


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
        if self.unique_tokens is not None and self.unique_tokens <= 0:
            raise UserError(
                "tokens out of range", key="unique_tokens", found=self.unique_tokens, expected="more than 0"
            )
