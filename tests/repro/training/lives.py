"""A run stopped, taken up again, and held against one that was not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from repro import tables
from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.training import record, train
from repro.training.assignment import Assignment
from repro.training.trainer import Trainer

TIMED = ("ms", "seconds", "seconds_setup", "tokens_per_second", "peak_memory")
TABLES = ("run.parquet", "curve.parquet", "layers.parquet")


class Stopped(BaseException):
    """What ends a run from outside; no Exception, as a KeyboardInterrupt is none, so that nothing handles it."""


@dataclass
class Life:
    """What a process did of a run: the steps that it trained."""

    steps: list[int]


@contextmanager
def life(stop: int | None = None) -> Iterator[Life]:
    """Notes the steps that are trained inside, and stops the loop before step `stop`, or after the last saving."""
    update, row, found = Trainer.step, record.run_row, Life([])

    def step(trainer: Trainer, at: int) -> None:
        if at == stop:
            raise Stopped
        found.steps.append(at)
        update(trainer, at)

    def last(spec: RunSpec, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if stop == spec.schedule.total_steps:
            raise Stopped
        return row(spec, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", step)
        patch.setattr(record, "run_row", last)
        yield found


def stopped(
    spec: RunSpec, folder: Folder, text: Corpus, resources: Resources, stop: int, forks: tuple[int, ...] = ()
) -> Life:
    """Trains until `stop` and leaves the folder as it is then."""
    with life(stop) as found, pytest.raises(Stopped):
        train.train(spec, folder, text, resources, forks)
    return found


def assigned(
    spec: RunSpec, folder: Folder, text: Corpus, resources: Resources, forks: tuple[int, ...] = ()
) -> Assignment:
    """What a driver that nobody asks to stop tells the process that trains a run."""
    return Assignment(
        spec=spec,
        resources=resources,
        folder=folder.path,
        corpus=str(text.folder),
        corpus_hash=text.hash,
        fork=None,
        forks=forks,
        parent=None,
        children=(),
        results=folder.path,
        driver="d",
        over=None,
        gpu=False,
    )


def rows(folder: Folder, name: str) -> list[dict[str, Any]]:
    """A table without its clock readings."""
    table = tables.read(folder, name)
    return table.drop_columns([c for c in TIMED if c in table.column_names]).to_pylist()


def last_checkpoint(folder: Folder) -> Folder:
    [name] = (folder / "checkpoint").names()
    return folder / "checkpoint" / name


def state(folder: Folder) -> dict[str, bytes]:
    """Weights, moments and masks as the last checkpoint has them."""
    place = last_checkpoint(folder)
    return {f"{place.name}/{name}": place.read(name) for name in place.names() if name.endswith(".safetensors")}


def log(folder: Folder, but_for: tuple[str, ...]) -> dict[str, Any]:
    """What the last checkpoint has logged, the clock and some keys aside: what a spike is judged by, too."""
    out = {*TIMED, *but_for}
    data = last_checkpoint(folder).read("rows.json")
    return json.loads(data, object_hook=lambda found: {k: v for k, v in found.items() if k not in out})


def assert_same(folder: Folder, whole: Folder, when: str, but_for: tuple[str, ...] = ()) -> None:
    """The tables and the last checkpoint of two runs are equal to the bit, some columns aside."""
    dense = all(row["sparsity"] == 0 for row in rows(whole, "run.parquet"))
    for name in TABLES:
        a, b = ([{k: v for k, v in r.items() if k not in but_for} for r in rows(f, name)] for f in (folder, whole))
        assert a or (dense and name == "layers.parquet"), f"{name} is empty"
        assert a == b, f"{name} {when}"
    mine, theirs = state(folder), state(whole)
    assert len(mine) >= 2
    assert list(mine) == list(theirs)
    for name in mine:
        assert mine[name] == theirs[name], f"{name} {when}"
    assert log(folder, but_for) == log(whole, but_for), f"rows.json {when}"
