"""Any Hugging Face dataset, streamed; also a local folder in the layout of one."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from repro.corpus.documents import Document, content_group
from repro.errors import UserError

if TYPE_CHECKING:
    import datasets


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

    @property
    def pieces(self) -> int:
        with self._reading():
            return int(self._stream.num_shards)

    def documents(self, piece: int | None = None) -> Iterator[Document]:
        with self._reading():
            stream = self._stream
            if piece is not None:
                stream = stream.shard(num_shards=stream.num_shards, index=piece)
            for record in stream:
                text = record.get(self.text_field)
                if not isinstance(text, str):
                    raise UserError(
                        "a record without text",
                        file=self._where,
                        key="corpus.text_field",
                        found=f"{text!r}, fields {', '.join(record)}",
                        expected=f'text in "{self.text_field}"',
                    )
                yield Document(content_group(text), text)

    @property
    def _where(self) -> str:
        return f"dataset {self.name}, split {self.split}"

    @property
    def _stream(self) -> datasets.IterableDataset:
        return _load(self.name, self.subset, self.split, self.revision)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (UserError, GeneratorExit):
            raise
        except Exception as error:  # the hub's client, its transport and every file format raise their own kinds
            raise UserError(
                "the dataset could not be read",
                file=self._where,
                key="corpus.name",
                found=f"{type(error).__name__}: {str(error)[:300]}",
                expected="a dataset, configuration and split that can be reached from here",
            ) from error


@lru_cache(maxsize=2)  # finding a dataset's files takes seconds, and each piece needs them
def _load(name: str, subset: str | None, split: str, revision: str | None) -> datasets.IterableDataset:
    import datasets

    return datasets.load_dataset(name, subset, split=split, revision=revision, streaming=True)
