"""The file that `fit --json` prints and `predict` reads: its contents, how they are checked, and which group of `--by` is meant."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from analysis.fits.fit import FitResult, Status
from analysis.fits.objective import Kind, Objective
from analysis.laws.formulas import declared
from analysis.laws.formulas.formula import FormulaLaw
from analysis.laws.law import Array, Law
from analysis.laws.registry import LAWS
from analysis.tables.cell_table import listed
from analysis.tables.row_ranges import Range, RowRanges, parts
from repro import paths
from repro.errors import UserError, located
from repro.reading import no_number, once

LARGEST = 1 << 26  # bytes
WANTED = "what `python -m analysis fit … --json` printed"
NEEDED = ("law", "parameters", "objective", "kind", "status", "bounds_hit", "unidentified", "n_rows")
LIMITS = ("ranges", "ratios", "loss_range")


@dataclass(frozen=True)
class SavedFit:
    """A fit, with the ranges of its rows.

    Attributes:
        result: the fitted law.
        rows: where its rows lie; None of a file of an older version.
        draws: resampled parameters (R, P); None without a bootstrap.
    """

    result: FitResult
    rows: RowRanges | None
    draws: Array | None


def as_json(result: FitResult) -> dict[str, Any]:
    """A fit as plain JSON."""
    law = result.law
    return {
        "law": law.name,
        "formula": law.formula,
        "parameters": result.parameters,
        "objective": result.objective,
        "kind": dataclasses.asdict(result.kind),
        "status": result.status,
        "bounds_hit": result.bounds_hit,
        "intervals_given": result.bounds_hit,  # the intervals of the other parameters hold while these sit at a bound
        "unidentified": result.unidentified,
        "condition": result.condition,
        "n_rows": result.n_rows,
        "starts": result.starts,
        "starts_agreeing": result.starts_agreeing,
        **({"written": law.as_data(), "given": law.written.given(result.parameters)} if isinstance(law, FormulaLaw) else {}),
    }  # fmt: skip


def rows_as_json(rows: RowRanges) -> dict[str, Any]:
    """The ranges of a fit's rows, as plain JSON."""
    return {"ranges": dict(rows.ranges), "ratios": dict(rows.ratios), "loss_range": list(rows.loss)}


def load(file: str) -> SavedFit:
    """Reads a saved fit.

    Raises:
        UserError: no such file, no JSON, a key that is missing, unknown, of another type or no finite number.
    """
    return checked(file, parsed(file))


def parsed(file: str) -> Any:
    """The JSON of a file. Raises UserError: no such file, no JSON."""
    path = Path(paths.expand(file))
    if not path.is_file():
        raise UserError("no such fit", file=file, expected=WANTED)
    if path.stat().st_size > LARGEST:
        raise UserError("not a saved fit", file=file, found=f"{path.stat().st_size:,} bytes", expected=WANTED)
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=once, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise UserError(
            "not a saved fit", file=file, found=str(error).splitlines()[0][:200], expected=WANTED
        ) from error


def checked(file: str, saved: Any) -> SavedFit:
    """The fit of a file's JSON. Raises UserError: see `load`."""
    if isinstance(saved, list) and saved:
        raise UserError(
            "fits of several groups", file=file, found=f"a list of {len(saved)}",
            expected="a file of one fit, without --by; or, as the first file of `predict`, a word COLUMN=LABEL with it",
        )  # fmt: skip
    if not isinstance(saved, dict) or "law" not in saved:
        raise UserError("not a saved fit", file=file, found=type(saved).__name__, expected=WANTED)
    with located(file, ""):
        return _fit(saved)


def choose(file: str, words: Sequence[str]) -> tuple[SavedFit, list[str]]:
    """The fit of a file, and the NAME=VALUE words that are left: of several groups' fits a word COLUMN=LABEL says which.

    Raises:
        UserError: see `load`; a file of groups of which no word, or several, or one of another label chooses.
    """
    saved = parsed(file)
    if not isinstance(saved, list):
        return checked(file, saved), list(words)
    groups = {}
    for one in saved:
        if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in ("by", "group")):
            raise UserError("not a saved fit", file=file, found="a list", expected=WANTED)
        groups[one["group"]] = one
    columns = {one["by"] for one in saved}
    if len(columns) != 1 or len(groups) < len(saved):
        raise UserError("not a saved fit", file=file, found="groups by several columns, or one twice", expected=WANTED)
    [by] = columns
    chosen = [word.partition("=")[2].strip() for word in words if word.partition("=")[0].strip() == by]
    if len(chosen) != 1:
        raise UserError(
            "fits of several groups", file=file, key=by, found=", ".join(chosen) or "no group", expected=f"{by}=LABEL once: {listed(list(groups))}"
        )  # fmt: skip
    if chosen[0] not in groups:
        raise UserError(
            "no such group", file=file, key=by, found=chosen[0] or "nothing", expected=listed(list(groups), like=chosen[0])
        )  # fmt: skip
    left = [word for word in words if word.partition("=")[0].strip() != by]
    return checked(file, groups[chosen[0]]), left


def _fit(saved: dict[str, Any]) -> SavedFit:
    for key in NEEDED:
        _need(key in saved, key, "nothing", "it; the file isn't whole")
    law = _law(saved)
    for key in saved:
        _need(key in KNOWN, key, "a key that no fit has", ", ".join(NEEDED))
    names, parameters, kind = law.names, saved["parameters"], saved["kind"]
    _need_keys("parameters", parameters, names)
    for own in law.parameters:
        key, value = f"parameters.{own.name}", parameters[own.name]
        _need(_number(key, value) > 0 or not own.log, key, value, "more than 0")
    _need_keys("kind", kind, ("kind", "delta"))
    for key, value, known in (("kind.kind", kind["kind"], Kind), ("status", saved["status"], Status)):
        _need(value in get_args(known), key, value, ", ".join(get_args(known)))
    for key in ("bounds_hit", "unidentified"):
        some = isinstance(saved[key], list) and all(name in names for name in saved[key])
        _need(some, key, saved[key], f"a list of some of {', '.join(names)}")
    counts = {key: saved.get(key, 0) for key in ("n_rows", "starts", "starts_agreeing")}
    for key, count in counts.items():
        _need(type(count) is int and count >= 0, key, count, "a whole number")
    result = FitResult(
        law=law,
        parameters={name: float(parameters[name]) for name in names},
        objective=_number("objective", saved["objective"]),
        status=saved["status"],
        bounds_hit=tuple(saved["bounds_hit"]),
        unidentified=tuple(saved["unidentified"]),
        condition=_number("condition", saved["condition"]) if saved.get("condition") else math.inf,
        kind=Objective(kind["kind"], _number("kind.delta", kind["delta"])),
        **counts,
    )
    return SavedFit(result, _rows(saved, law), _draws(saved.get("draws"), len(names)))


def _law(saved: dict[str, Any]) -> Law:
    """Of the registry, or of the formula that the file holds."""
    name, own = saved["law"], saved.get("written")
    if own is not None:
        with located(None, "written"):
            return declared.of_data(own)
    _need(isinstance(name, str) and name in LAWS, "law", name, ", ".join(LAWS))
    return LAWS[name]


def _rows(saved: dict[str, Any], law: Law) -> RowRanges | None:
    if "ranges" not in saved and "ratios" not in saved:
        return None
    for key in LIMITS:
        _need(key in saved, key, "nothing", "it, beside ranges and ratios")
    ranges, ratios = (_ranges(key, saved[key]) for key in ("ranges", "ratios"))
    for name in law.columns:
        _need(name in ranges or name in law.levels, f"ranges.{name}", "nothing", "[least, largest]")
    for name in ratios:
        try:
            over, under, power = parts(name)
        except ValueError:
            over, under, power = "", "", math.inf
        known = over in ranges and under in ranges and math.isfinite(power)
        _need(known, f"ratios.{name}", name, "two columns and / between them")
    return RowRanges(ranges, ratios, _range("loss_range", saved["loss_range"]))


def _ranges(key: str, value: Any) -> dict[str, Range]:
    _need(isinstance(value, dict), key, value, "an object of [least, largest]")
    return {name: _range(f"{key}.{name}", span) for name, span in value.items()}


def _range(key: str, value: Any) -> Range:
    _need(isinstance(value, list) and len(value) == 2, key, value, "[least, largest]")
    low, high = (_number(key, end) for end in value)
    _need(low <= high, key, value, "[least, largest]")
    return low, high


def _draws(value: Any, parameters: int) -> Array | None:
    if value is None:
        return None
    table = isinstance(value, list) and value and all(isinstance(r, list) and len(r) == parameters for r in value)
    _need(bool(table), "draws", type(value).__name__, f"rows of {parameters} numbers")
    return np.array([[_number("draws", cell) for cell in row] for row in value])


def _need_keys(key: str, value: Any, names: tuple[str, ...]) -> None:
    mapping = isinstance(value, dict)
    _need(mapping and set(value) == set(names), key, ", ".join(value) if mapping else value, ", ".join(names))


def _number(key: str, value: Any) -> float:
    _need(type(value) in (int, float) and abs(value) <= sys.float_info.max, key, value, "a finite number")
    return float(value)


def _need(held: bool, key: str, found: Any, expected: str) -> None:
    if not held:
        told = found if isinstance(found, str) else json.dumps(found, default=str)
        raise UserError("not a saved fit", key=key, found=told[:200], expected=expected)


KNOWN = frozenset({
    *NEEDED, *LIMITS, "formula", "written", "given", "condition", "starts", "starts_agreeing", "source", "flags", "flag_counts",
    "mean_abs_error", "mean_relative_error", "sigma", "information", "profile", "profile_reason", "intervals", "intervals_given",
    "bootstrap", "draws", "held_out", "warnings", "weights", "last", "misfit", "by", "group",
})  # fmt: skip
