"""Which text."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from repro.errors import UserError
from repro.spec.identity import LABEL, SHA256
from repro.strict import Between, dataclass

MOST = 10**15  # documents, or tokens: more than anybody has
LONGEST = 4096  # characters of a name or path


@dataclass
class CorpusSpec:
    """Which text, cut into tokens how."""

    source: Annotated[
        Literal["package", "huggingface", "files"],
        '"package" is text that the package `name` ships, "huggingface" the dataset with the id `name`, "files" those of '
        "`paths`",
    ]
    name: Annotated[str, "the package or the dataset; for files a label, as only their content bears identity"]
    subset: Annotated[str | None, "configuration of the dataset on Hugging Face"] = None
    split: Annotated[str, "split of the dataset that is trained on"] = "train"
    revision: Annotated[str | None, "git revision of the dataset on Hugging Face"] = None
    text_field: Annotated[str, "name of the field of a record that holds the text"] = "text"
    tokenizer: Annotated[
        str, '"bpe" trains a byte-level BPE of the model\'s vocabulary on the text; else the id of one on Hugging Face'
    ] = "bpe"
    packing: Annotated[
        Literal["concatenate", "documents"],
        '"concatenate" cuts one stream of documents; "documents" is the authors\' way: each document cut at '
        "sequence + 1 tokens, the rest dropped, whole documents packed, attention inside a document",
    ] = "concatenate"
    heldout_split: Annotated[
        str | None,
        "a split of the dataset; null holds out whole groups (services, documents) until `heldout_fraction` is reached",
    ] = None
    heldout_fraction: Annotated[float, Between(0, 0.5, "share", "()"), "share of the text that is held out"] = 0.03
    max_documents: Annotated[
        int | None, Between(1, MOST, "documents"), "ingestion stops after so many; null takes all"
    ] = None
    text_sha256: Annotated[str | None, SHA256, "if given, the extracted text must have this hash"] = None
    unique_tokens: Annotated[
        float | None,
        Between(0, MOST, "tokens", "(]"),
        "size of the corpus, as far as known; runs that need more are refused unless they may repeat text",
    ] = field(default=None, metadata=LABEL)
    paths: Annotated[tuple[str, ...], "files and globs, with `source: files`"] = field(default=(), metadata=LABEL)

    def __post_init__(self) -> None:
        if self.source == "files" and not self.paths:
            raise UserError("no files named", key="paths", expected="a list of files or globs")
        for key in ("name", "subset", "split", "revision", "text_field", "tokenizer", "heldout_split"):
            _check_word(getattr(self, key), key)
        for at, path in enumerate(self.paths):
            _check_word(path, f"paths[{at}]")
        self._check_source()

    def _check_source(self) -> None:
        """Refuses keys that this kind of source would ignore, and one split both for training and held out."""
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
