"""The logged rows in a checkpoint, treated as untrusted input: a matching hash doesn't validate their contents."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from repro import schemas
from repro.errors import UserError
from repro.spec import RunSpec
from repro.training.record import Log

LARGEST_LAYERS = 2**22  # maximum rows, one per event and tensor


def dumped(rows: dict[str, Any]) -> bytes:
    """The contents of rows.json."""
    return json.dumps(rows, allow_nan=False).encode()


def restored(rows: Any, spec: RunSpec, step: int, file: object) -> Log:
    """The log of a run before `step`, from the contents of a checkpoint's rows.json.

    Raises:
        UserError: it isn't the log of this run's first `step` steps.
    """
    known = {field.name for field in dataclasses.fields(Log)}
    if not isinstance(rows, dict) or not set(rows) <= known:
        raise UserError(
            "not the rows of a checkpoint", file=file, expected=f"a mapping with {', '.join(sorted(known))}"
        )
    for key, value in rows.items():
        if not _KINDS[key](value):
            raise UserError("wrong type of value", file=file, key=key, found=repr(value)[:80])
    log = Log(**rows)
    wanted = {
        "tokens": (log.tokens, step * spec.tokens_per_step),
        "weight_steps": (log.weight_steps, spec.schedule.weight_steps(spec.model.shape.prunable, step)),
    }
    for key, (found, expected) in wanted.items():
        if found != expected:
            raise UserError("rows of another run", file=file, key=key, found=found, expected=expected)
    for key, table, of, most in (
        ("curve", "curves", log.curve, step),
        ("layers", "layers", log.layers, LARGEST_LAYERS),
    ):
        if len(of) > most:
            raise UserError("too many rows", file=file, key=key, found=len(of), expected=f"at most {most}")
        for i, row in enumerate(of):
            _check_row(row, schemas.SCHEMAS[table], spec.run_id, step, file, f"{key}[{i}]")
    steps = [row["step"] for row in log.curve]
    if steps != sorted(set(steps)):
        raise UserError("steps that are not in order", file=file, key="curve")
    return log


def _check_row(row: dict[str, Any], schema: pa.Schema, run_id: str, step: int, file: object, key: str) -> None:
    if set(row) != set(schema.names) or row["run_id"] != run_id:
        raise UserError("not a row of this run", file=file, key=key, expected=f"{', '.join(schema.names)} of {run_id}")
    for field in schema:
        value = row[field.name]
        if pa.types.is_string(field.type):
            good = isinstance(value, str)
        elif pa.types.is_integer(field.type):
            good = _is_count(value)
        else:
            good = _is_number(value) or (value is None and field.name in ("grad_norm", "loss_eval"))
        if not good or (field.name == "step" and value > step):
            raise UserError(
                "wrong value", file=file, key=f"{key}.{field.name}", found=repr(value)[:80], expected=str(field.type)
            )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_table(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _are_losses(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


_KINDS: dict[str, Callable[[Any], bool]] = {
    "curve": _is_table,
    "layers": _is_table,
    "last_losses": _are_losses,
    "weight_steps": lambda value: type(value) is int and value >= 0,
    "tokens": _is_count,
    "lr_wd_sum": _is_number,
    "seconds": lambda value: _is_number(value) and value >= 0,
    "recent_losses": _are_losses,
    "lowest_loss": lambda value: value is None or _is_number(value),
    "forked_from": lambda value: value is None or isinstance(value, str),
    "loss_before": lambda value: value is None or _is_number(value),
    "surgery": lambda value: value is None or isinstance(value, dict),
    "loss_parent": lambda value: value is None or _is_number(value),
    "forked_step": lambda value: value is None or _is_count(value),
}
