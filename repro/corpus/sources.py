"""One interface to three kinds of text: a package's text, a Hugging Face dataset, local files."""

from __future__ import annotations

import dataclasses
import hashlib
from itertools import islice

from repro.corpus.documents import Source
from repro.corpus.files import FilesSource
from repro.corpus.huggingface import HuggingFaceSource
from repro.corpus.packages import PackageSource
from repro.errors import UserError
from repro.spec import CorpusSpec


def open_source(spec: CorpusSpec) -> Source:
    """The source that `spec` names; split `split` of it, if the source has splits.

    Raises:
        UserError: heldout_split is given for a source without splits, or the name is unknown.
    """
    if spec.source == "huggingface":
        return HuggingFaceSource(spec.name, spec.subset, spec.split, spec.revision, spec.text_field)
    if spec.heldout_split is not None:
        raise UserError(
            "this source has no splits",
            key="corpus.heldout_split",
            found=spec.heldout_split,
            expected="null: whole groups are held out until heldout_fraction is reached",
        )
    if spec.source == "package":
        return PackageSource(spec.name)
    return FilesSource(spec.paths, spec.text_field)


def sides_of(spec: CorpusSpec) -> list[CorpusSpec]:
    """What is read for `spec`, one after the other: its split, and that which it declares to be held out, if any."""
    if spec.heldout_split is None:
        return [spec]
    return [spec, dataclasses.replace(spec, split=spec.heldout_split, heldout_split=None)]


def text_sha256(spec: CorpusSpec) -> str:
    """The hash of the text that `spec` names, read from the source again, to compare with a manifest's `text_sha256`.

    Raises:
        UserError: the text can't be read.
    """
    digest = hashlib.sha256()
    for each in sides_of(spec):
        texts = (document.text for document in open_source(each).documents() if document.text.strip())
        for text in islice(texts, spec.max_documents):
            digest.update(text.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()
