"""The file that `fit --json` prints and `predict` reads: its contents, and how they are checked."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args

import numpy as np

from analysis.fits.fit import FitResult, Status
from analysis.fits.objective import Kind, Objective
from analysis.laws.formulas import declared
from analysis.laws.formulas.formula_law import FormulaLaw
from analysis.laws.law import Array, Law
from analysis.laws.registry import LAWS
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
    return {
        "law": result.law.name,
        "formula": result.law.formula,
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
        **(_of_formula(result.law, result) if isinstance(result.law, FormulaLaw) else {}),
    }


def _of_formula(law: FormulaLaw, result: FitResult) -> dict[str, Any]:
    """What was written, and the values of the parameters that were fixed and tied."""
    return {"written": law.as_data(), "given": law.written.given(result.parameters)}


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
    return _Check(file, saved).fit()


class _Check:
    """Keys of one file, each checked for type and range."""

    def __init__(self, file: str, saved: dict[str, Any]):
        self.file, self.saved = file, saved

    def fit(self) -> SavedFit:
        for key in NEEDED:
            if key not in self.saved:
                self._wrong(key, "nothing", "it; the file isn't whole")
        law = self._law()
        for key in self.saved:
            if key not in KNOWN:
                self._wrong(key, "a key that no fit has", ", ".join(NEEDED))
        names = law.names
        parameters = self._mapping("parameters", self.saved["parameters"], names)
        for name, value in parameters.items():
            self._number(f"parameters.{name}", value)
            if law.parameters[names.index(name)].log and not value > 0:
                self._wrong(f"parameters.{name}", value, "more than 0")
        kind = self._mapping("kind", self.saved["kind"], ("kind", "delta"))
        if kind["kind"] not in get_args(Kind):
            self._wrong("kind.kind", kind["kind"], ", ".join(get_args(Kind)))
        if self.saved["status"] not in get_args(Status):
            self._wrong("status", self.saved["status"], ", ".join(get_args(Status)))
        hit, flat = (self._names(key, names) for key in ("bounds_hit", "unidentified"))
        count = self._whole("n_rows", self.saved["n_rows"])
        result = FitResult(
            law=law,
            parameters={name: float(parameters[name]) for name in names},
            objective=self._number("objective", self.saved["objective"]),
            status=self.saved["status"],
            bounds_hit=hit,
            unidentified=flat,
            condition=self._number("condition", self.saved.get("condition") or math.inf, finite=False),
            starts=self._whole("starts", self.saved.get("starts", 0)),
            starts_agreeing=self._whole("starts_agreeing", self.saved.get("starts_agreeing", 0)),
            n_rows=count,
            kind=Objective(kind["kind"], self._number("kind.delta", kind["delta"])),
        )
        read = tuple(name for name in law.columns if name not in law.levels)
        return SavedFit(result, self._rows(read), self._draws(len(names)))

    def _law(self) -> Law:
        """Of the registry, or of the formula that the file holds."""
        name, own = self.saved["law"], self.saved.get("written")
        if own is not None:
            with located(self.file, "written"):
                return declared.of_data(own)
        law = LAWS.get(name) if isinstance(name, str) else None
        if law is None:
            self._wrong("law", name, ", ".join(LAWS))
        return law

    def _rows(self, columns: tuple[str, ...]) -> RowRanges | None:
        if "ranges" not in self.saved and "ratios" not in self.saved:
            return None
        for key in LIMITS:
            if key not in self.saved:
                self._wrong(key, "nothing", "it, beside ranges and ratios")
        ranges = self._ranges("ranges")
        for name in columns:
            if name not in ranges:
                self._wrong(f"ranges.{name}", "nothing", "[least, largest]")
        ratios = self._ranges("ratios")
        for name in ratios:
            try:
                over, under, power = parts(name)
            except ValueError:
                over, under, power = "", "", math.inf
            if over not in ranges or under not in ranges or not math.isfinite(power):
                self._wrong(f"ratios.{name}", name, "two columns and / between them")
        return RowRanges(ranges, ratios, self._range("loss_range", self.saved["loss_range"]))

    def _ranges(self, key: str) -> dict[str, Range]:
        value = self.saved[key]
        if not isinstance(value, dict):
            self._wrong(key, value, "an object of [least, largest]")
        return {name: self._range(f"{key}.{name}", span) for name, span in value.items()}

    def _range(self, key: str, value: Any) -> Range:
        if not isinstance(value, list) or len(value) != 2:
            self._wrong(key, value, "[least, largest]")
        low, high = (self._number(key, end) for end in value)
        if low > high:
            self._wrong(key, value, "[least, largest]")
        return low, high

    def _draws(self, parameters: int) -> Array | None:
        value = self.saved.get("draws")
        if value is None:
            return None
        if (
            not isinstance(value, list)
            or not value
            or any(not isinstance(r, list) or len(r) != parameters for r in value)
        ):
            self._wrong("draws", type(value).__name__, f"rows of {parameters} numbers")
        return np.array([[self._number("draws", cell) for cell in row] for row in value])

    def _mapping(self, key: str, value: Any, names: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(value, dict) or set(value) != set(names):
            self._wrong(key, ", ".join(value) if isinstance(value, dict) else value, ", ".join(names))
        return value

    def _names(self, key: str, names: tuple[str, ...]) -> tuple[str, ...]:
        value = self.saved[key]
        if not isinstance(value, list) or any(name not in names for name in value):
            self._wrong(key, value, f"a list of some of {', '.join(names)}")
        return tuple(value)

    def _number(self, key: str, value: Any, *, finite: bool = True) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        try:
            number = float(value) if is_number else math.nan
        except OverflowError:
            number = math.nan
        if math.isnan(number) or (finite and math.isinf(number)):
            self._wrong(key, value, "a finite number")
        return number

    def _whole(self, key: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self._wrong(key, value, "a whole number")
        return value

    def _wrong(self, key: str, found: Any, expected: str) -> NoReturn:
        told = found if isinstance(found, str) else json.dumps(found, default=str)
        raise UserError("not a saved fit", file=self.file, key=key, found=told[:200], expected=expected)


KNOWN = frozenset({
    *NEEDED, *LIMITS, "formula", "written", "given", "condition", "starts", "starts_agreeing", "source", "flags", "flag_counts",
    "mean_abs_error", "mean_relative_error", "sigma", "information", "profile", "profile_reason", "intervals", "intervals_given",
    "bootstrap", "draws", "held_out", "warnings", "weights", "last", "misfit", "by", "group",
})  # fmt: skip
