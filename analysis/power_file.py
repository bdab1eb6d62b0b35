"""power.json beside a sweep's tables: error rates as they were found, of these tables and this code, or they don't count."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from analysis.power import ClaimPower, Power, Rates
from repro.errors import UserError
from repro.store.folder import Folder

FILE = "power.json"


def key(results: Folder, worlds: int) -> str:
    """Of what the rates depend on: the table of runs, the number of worlds and the code of the analysis."""
    found = hashlib.sha256(results.read("runs.parquet") + str(worlds).encode())
    here = Path(__file__).parent
    for file in sorted(here.rglob("*.py")):
        found.update(str(file.relative_to(here)).encode() + file.read_bytes())
    return found.hexdigest()


def read(folder: Folder, wanted: str | None = None) -> Power | None:
    """The rates in a folder; None where there are none, or those of another key than `wanted`.

    Raises:
        UserError: a file that isn't one of ours.
    """
    if not folder.exists(FILE):
        return None
    found = folder.read_json(FILE)
    try:
        if found["key"] != wanted:
            return None
        return _power(found)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "not error rates of claims",
            file=f"{folder}/{FILE}",
            found=str(error)[:100],
            expected="delete it to draw anew",
        ) from error


def write(folder: Folder, power: Power, of: str) -> None:
    folder.write_json(FILE, {"key": of, **as_json(power)})


def as_json(power: Power) -> dict[str, Any]:
    """As plain JSON."""
    return dataclasses.asdict(power)


def _power(found: dict[str, Any]) -> Power:
    names = {field.name for field in dataclasses.fields(Power)}
    claims = {
        name: ClaimPower(**{**own, "true": Rates(**own["true"]), "false": Rates(**own["false"])})
        for name, own in found["claims"].items()
    }
    laws = {law: {name: Rates(**own) for name, own in claims_of.items()} for law, claims_of in found["laws"].items()}
    return Power(**{name: found[name] for name in names - {"claims", "laws"}}, claims=claims, laws=laws)
