"""One interface to three kinds of text: what a package ships, a Hugging Face dataset, local files."""

from __future__ import annotations

from repro.corpus.documents import Document, Source
from repro.corpus.files import FilesSource
from repro.corpus.huggingface import HuggingFaceSource
from repro.corpus.packages import PackageSource
from repro.errors import UserError
from repro.spec import CorpusSpec

__all__ = ["Document", "Source", "open_source"]


def open_source(spec: CorpusSpec) -> Source:
    """The text that `spec` names: its split `split`, where the source has splits.

    Raises:
        UserError: a source that has no splits is asked for one to hold out, or its name is unknown.
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
