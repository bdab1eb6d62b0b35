"""What a driver keeps of its sweep in sweep.json, checked when it is read: it may be damaged, older, or a stranger's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from repro import paths, strict
from repro.errors import UserError
from repro.store.folder import Folder
from repro.strict import Above

FILE = "sweep.json"
AGAIN = "the file of a sweep; move it away and give `sweeps run` again: what is done stays done, and it is written anew"


@strict.dataclass
class Planned:
    """One run of the sweep: tokens it will see, its cost in arbitrary units, and what the plan promised where it could."""

    run_id: str
    tokens: Annotated[int, Above(0, inclusive=True)]
    cost: Annotated[float, Above(0, inclusive=True)]
    workers: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        paths.check_name(self.run_id, key="run_id")


@dataclass(frozen=True)
class Kept:
    """Of a sweep that has begun.

    Attributes:
        name: of the sweep. planned: its runs. asked: ids of those that were to be trained when training began.
        began: when that was, seconds since the epoch. before: `updated` of the status of each of `asked` at that moment;
        None where an older version wrote the file.
    """

    name: str
    planned: tuple[Planned, ...]
    asked: tuple[str, ...]
    began: float
    before: Mapping[str, float | None] | None


def read(place: Folder) -> dict[str, Any]:
    """The mapping in a results folder's sweep.json; empty where there is none.

    Raises:
        UserError: it is damaged.
    """
    if not place.exists(FILE):
        return {}
    try:
        found = place.read_json(FILE)
    except UserError as error:
        raise error.but(file=f"{place}/{FILE}", key=None, found=None, expected=AGAIN) from error
    if not isinstance(found, dict):
        raise UserError("not a mapping", file=f"{place}/{FILE}", found=repr(found)[:80], expected=AGAIN)
    return found


def of(place: Folder) -> Kept:
    """What the folder of a sweep says of it.

    Raises:
        UserError: no sweep has begun here, or what says so is damaged or of another form.
    """
    file, found = f"{place}/{FILE}", read(place)
    if not found:
        raise UserError("no sweep has begun here", file=file, expected="a folder that `sweeps run` writes into")
    planned, training = found.get("planned"), found.get("training")
    if planned is None or training is None:
        raise UserError(
            "a sweep.json of an older form, or of a sweep of which nothing was left to train",
            file=file,
            key="planned" if planned is None else "training",
            found="nothing",
            expected="what `sweeps run` writes when it trains; `python -m analysis report` shows what is done",
        )

    def wrong(key: str, value: object) -> UserError:
        return UserError("wrong type of value", file=file, key=key, found=repr(value)[:80], expected=AGAIN)

    if not isinstance(planned, list):
        raise wrong("planned", planned)
    if not isinstance(training, dict):
        raise wrong("training", training)
    name, asked, began, before = found.get("name"), training.get("runs"), training.get("began"), training.get("before")
    if not isinstance(name, str):
        raise wrong("name", name)
    if not isinstance(asked, list) or not all(isinstance(run_id, str) for run_id in asked):
        raise wrong("training.runs", asked)
    if not isinstance(began, (int, float)) or not _is_number(began):
        raise wrong("training.began", began)
    if before is not None and not (
        isinstance(before, dict) and all(v is None or _is_number(v) for v in before.values())
    ):
        raise wrong("training.before", before)
    runs = tuple(strict.build(Planned, run, file=file, key=f"planned[{i}]") for i, run in enumerate(planned))
    return Kept(name, runs, tuple(asked), began, before)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
