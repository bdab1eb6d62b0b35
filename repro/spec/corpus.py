"""CorpusSpec: the text of a run."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from repro.errors import UserError
from repro.spec.identity import LABEL, SHA256
from repro.strict import Between, dataclass

MOST = 10**15  # limit of documents or tokens, above any real corpus
LONGEST = 4096  # maximum characters of a name or path


@dataclass
class CorpusSpec:
    """The text, and how it is tokenized, packed and split."""

    source: Annotated[
        Literal["package", "huggingface", "files"],
        '"package": text that ships with the Python package `name`; "huggingface": the dataset with the id `name`; '
        '"files": the files of `paths`',
    ]
    name: Annotated[str, "the package or the dataset; for files a label, because their content identifies them"]
    subset: Annotated[str | None, "configuration of the Hugging Face dataset"] = None
    split: Annotated[str, "split of the dataset to train on"] = "train"
    revision: Annotated[str | None, "git revision of the Hugging Face dataset"] = None
    text_field: Annotated[str, "field of a record that holds the text"] = "text"
    tokenizer: Annotated[
        str,
        '"bpe" trains a byte-level BPE with the model\'s vocabulary size on the text; "characters" trains a BPE over '
        "the text's own characters, for small vocabularies, where rare characters become one unknown token, whose share "
        "is reported; any other value is the Hugging Face id of a tokenizer",
    ] = "bpe"
    packing: Annotated[
        Literal["concatenate", "documents"],
        '"concatenate" joins the documents into one stream and cuts it into sequences; "documents" is the method of the '
        "paper's authors: each document is truncated to sequence + 1 tokens, whole documents are packed, and attention "
        "stays inside a document",
    ] = "concatenate"
    heldout_split: Annotated[
        str | None,
        "the dataset's held-out split; null: whole groups of documents, up to the share `heldout_fraction`",
    ] = None
    heldout_fraction: Annotated[float, Between(0, 0.5, "share", "()"), "share of the text to hold out"] = 0.03
    max_documents: Annotated[int | None, Between(1, MOST, "documents"), "maximum number of documents; null: all"] = None
    text_sha256: Annotated[str | None, SHA256, "expected hash of the extracted text; null: not checked"] = None
    unique_tokens: Annotated[
        float | None,
        Between(0, MOST, "tokens", "(]"),
        "size of the corpus, if known; runs that need more are rejected unless they may repeat text",
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
        """Rejects keys that this source would ignore, and the same split for training and held-out text."""
        given: dict[str, Any] = {"paths": self.paths if self.source != "files" else ()}
        if self.source != "huggingface":
            given |= {"subset": self.subset, "revision": self.revision}
            given["split"] = None if self.split == "train" else self.split
        elif self.heldout_split == self.split:
            message = "the same split for training and held-out text"
            expected = f"another split than {self.split}, or null"
            raise UserError(message, key="heldout_split", found=self.heldout_split, expected=expected)
        for key, value in given.items():
            if value:
                expected = f"nothing, with source: {self.source}"
                raise UserError("a key that this source doesn't use", key=key, found=value, expected=expected)


def _check_word(text: str | None, key: str) -> None:
    if text is None or (text.strip() and text.isprintable() and len(text) <= LONGEST):
        return
    raise UserError(
        "not a usable name", key=key, found=repr(text)[:80], expected=f"1 to {LONGEST:,} characters that can be printed"
    )
