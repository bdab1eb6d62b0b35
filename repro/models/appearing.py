"""A new model folder on this machine, which appears whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repro.errors import UserError
from repro.models.folder import CARD
from repro.store.folder import Folder
from repro.store.scratch import scratch_prefix

SHARD = "5GB"  # maximum size of a weights file


def check(out: Path) -> None:
    """Raises UserError if there is something at `out` already."""
    if out.exists():
        raise UserError("there is something already", file=out, expected="a new folder, or remove this one")


@contextmanager
def folder(out: Path) -> Iterator[Path]:
    """A folder to write a model with its card to; it is renamed to `out` at the end, unless something is raised.

    Raises:
        UserError: there is something at `out` already.
    """
    check(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    Folder.open(out.parent).tidy()
    with tempfile.TemporaryDirectory(prefix=scratch_prefix(out.name), dir=out.parent) as scratch:
        whole = Path(scratch) / out.name
        whole.mkdir()
        yield whole
        for file in whole.rglob("*.safetensors"):  # the library makes them readable only by their owner
            shutil.copymode(whole / CARD, file)
        whole.rename(out)
