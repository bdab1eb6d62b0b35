"""power.json beside a sweep's tables: kept error rates, which are used only for the same tables and the same code."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from analysis.claims.verdict import ClaimRates, Rates
from analysis.power import code_key
from analysis.power.error_rates import Power
from analysis.tables.data import Tables
from repro import columns
from repro.errors import UserError
from repro.store.folder import Folder

FILE = "power.json"
COLUMNS = ("run_id", "recipe", "studies", "size", "budget", "seed", "loss")


def key(tables: Tables) -> str:
    """A hash of what the error rates depend on: the runs and their losses, and the code of the rules."""
    names = (*COLUMNS, *columns.names("size", "setting", "window", "count"))
    runs = {name: [str(value) for value in tables.runs[name]] for name in names}
    found = hashlib.sha256(repr(runs).encode())
    found.update(code_key.digest().encode())
    return found.hexdigest()


def read(folder: Folder, tables: Tables) -> Power | None:
    """The kept error rates in a folder; None if there are none, or if they are for other runs or other code.

    Raises:
        UserError: a file that isn't one of ours.
    """
    if not folder.exists(FILE):
        return None
    found = folder.read_json(FILE)
    try:
        if found["key"] != key(tables):
            return None
        return _power(found)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "not error rates of claims",
            file=f"{folder}/{FILE}",
            found=str(error)[:100],
            expected="delete it to draw anew",
        ) from error


def write(folder: Folder, power: Power, tables: Tables) -> None:
    folder.write_json(FILE, {"key": key(tables), **dataclasses.asdict(power)})


def _power(found: dict[str, Any]) -> Power:
    names = {field.name for field in dataclasses.fields(Power)}
    claims = {
        name: ClaimRates(**{**own, "true": Rates(**own["true"]), "false": Rates(**own["false"])})
        for name, own in found["claims"].items()
    }
    laws = {law: {name: Rates(**own) for name, own in claims_of.items()} for law, claims_of in found["laws"].items()}
    return Power(**{name: found[name] for name in names - {"claims", "laws"}}, claims=claims, laws=laws)
