"""What Ray Train runs on every worker of a group: obtains the run's text, then trains it. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from repro.corpus import Corpus, obtain
from repro.errors import UserError
from repro.store import stop
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder, Stopped, changed_text
from repro.training.assignment import Assignment
from repro.training.train import train


def train_loop(mapping: dict[str, Any], signalled: Callable[[], bool] = bool) -> dict[str, Any] | None:
    """The function that Ray Train runs on every worker.

    Args:
        mapping: an `Assignment` as a mapping.
        signalled: returns whether this worker has had a signal to stop.

    Returns:
        The row of run.parquet; None if the run was asked to stop.
    """
    given = Assignment.parse(mapping)
    folder = Folder.reopen(given.folder)
    with suppress(Stopped):
        return train(
            given.spec,
            folder,
            _text(given, signalled),
            given.resources,
            given.forks,
            _asked(given),
            signalled=signalled,
            parent=None if given.parent is None else Folder.reopen(given.parent),
            children=given.children,
        )
    return None


def obtain_text(mapping: dict[str, Any]) -> None:
    """What every worker of a group does before their process group exists: sees that its machine has the text.

    Args:
        mapping: an `Assignment` as a mapping.

    Raises:
        UserError: the corpus is damaged or has changed, or there is no room for it; the run is marked as failed.
    """
    with suppress(Stopped):  # which `train_loop` finds out, too
        _text(Assignment.parse(mapping))


def _asked(given: Assignment) -> Callable[[], bool]:
    return partial(stop.is_asked, Folder.reopen(given.results), given.driver)


def _text(given: Assignment, signalled: Callable[[], bool] = bool) -> Corpus:
    """The corpus of a run. If it is damaged or has changed, the run is marked as failed."""
    asked = _asked(given)
    try:
        text = obtain(given.corpus, partial(print, flush=True), lambda: signalled() or asked())
        if given.corpus_hash != text.hash:
            raise changed_text("the sweep was begun", given.corpus, text.hash, given.corpus_hash)
    except UserError as error:
        with suppress(OSError):
            RunFolder(Folder.reopen(given.folder)).progress("failed", reason=str(error))
        raise
    return text
