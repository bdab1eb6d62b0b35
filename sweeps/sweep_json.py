"""sweep.json, a driver's record of its sweep, validated when read: it may be damaged, older, or untrusted."""

from __future__ import annotations

from typing import Annotated, Any

from repro import paths, strict
from repro.errors import UserError
from repro.store.folder import Folder
from repro.strict import Above

FILE = "sweep.json"
AGAIN = "a sweep's record; move it away and run `sweeps run` again, which rewrites it and keeps the runs that are done"


@strict.dataclass
class Planned:
    """One run of the sweep: its tokens, its cost in arbitrary units, and the plan's workers and seconds if known."""

    run_id: str
    tokens: Annotated[int, Above(0, inclusive=True)]
    cost: Annotated[float, Above(0, inclusive=True)]
    workers: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        paths.check_name(self.run_id, key="run_id")


@strict.dataclass
class Training:
    """The last driver's training.

    began: its start, seconds since the epoch. runs: ids of the runs that were to be trained. before: the stamp
    (`status.stamp`) of the status of each of them at that time; None if an older version wrote the file.
    """

    began: float
    runs: tuple[str, ...]
    before: dict[str, str | float | None] | None = None


@strict.dataclass
class Kept:
    """The record of a sweep that has begun. planned: its runs."""

    name: str
    planned: tuple[Planned, ...]
    training: Training


def read(place: Folder) -> dict[str, Any]:
    """The mapping in a results folder's sweep.json; empty if there is none.

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


def seconds(record: dict[str, Any]) -> float:
    """Wall seconds of the starts of `sweeps run` that trained in a folder and came to their end, by its record."""
    found = record.get("seconds")
    return float(found) if isinstance(found, int | float) and 0 <= found < 1e12 else 0.0


def of(place: Folder) -> Kept:
    """The validated record in a sweep's results folder.

    Raises:
        UserError: no sweep has begun here, or the record is damaged or in another format.
    """
    file, found = f"{place}/{FILE}", read(place)
    if not found:
        raise UserError("no sweep has begun here", file=file, expected="a folder that `sweeps run` writes into")
    for key in ("planned", "training"):
        if found.get(key) is None:
            what = "a sweep.json in an older format, or of a sweep with nothing left to train"
            expected = "what `sweeps run` writes when it trains; `python -m analysis report` shows what is done"
            raise UserError(what, file=file, key=key, found="nothing", expected=expected)
    try:
        return strict.build(Kept, strict.taken(Kept, found), file=file)
    except UserError as error:
        raise error.but(expected=AGAIN) from error
