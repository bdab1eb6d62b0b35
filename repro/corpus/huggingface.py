"""Any Hugging Face dataset, streamed; also a local folder in the layout of one."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.corpus.documents import Document, content_group
from repro.errors import UserError


@dataclass(frozen=True)
class HuggingFaceSource:
    """Split `split` of dataset `name` (configuration `subset`) at `revision`, in the dataset's own order.

    Each document is its own group. Only an explicit revision pins the text; without one the corpus is what the
    hub held when it was built, and its manifest's text hash is what names it.
    """

    name: str
    subset: str | None
    split: str
    revision: str | None
    text_field: str

    licence = "see the dataset's card"

    @property
    def versions(self) -> dict[str, str]:
        return {"datasets": importlib.metadata.version("datasets"), "revision": self.revision or "not pinned"}

    def content(self, cache: Path) -> str:
        return ""  # the spec names the dataset and its revision; anything more would need the hub

    def documents(self) -> Iterator[Document]:
        import datasets

        where = f"dataset {self.name}, split {self.split}"
        try:
            stream = datasets.load_dataset(
                self.name, self.subset, split=self.split, revision=self.revision, streaming=True
            )
            for record in stream:
                text = record.get(self.text_field)
                if not isinstance(text, str):
                    raise UserError(
                        "a record without text",
                        file=where,
                        key="corpus.text_field",
                        found=f"{text!r}, fields {', '.join(record)}",
                        expected=f'text in "{self.text_field}"',
                    )
                yield Document(content_group(text), text)
        except UserError:
            raise
        except Exception as error:  # the hub's client, its transport and every file format raise their own kinds
            raise UserError(
                "the dataset could not be read",
                file=where,
                key="corpus.name",
                found=f"{type(error).__name__}: {str(error)[:300]}",
                expected="a dataset, configuration and split that can be reached from here",
            ) from error
