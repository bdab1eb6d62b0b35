"""The logged rows in a checkpoint, treated as untrusted input: a matching hash doesn't validate their contents."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from repro import schemas
from repro.errors import UserError
from repro.spec import RunSpec
from repro.store.status import Kind, is_count, is_number, is_text, or_null
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
    if not isinstance(rows, dict) or not set(rows) <= set(_KINDS):
        mapping = f"a mapping with {', '.join(sorted(_KINDS))}"
        raise UserError("not the rows of a checkpoint", file=file, expected=mapping)
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
            good = is_text(value)
        elif pa.types.is_integer(field.type):
            good = is_count(value)
        else:
            good = is_number(value) or (value is None and field.name in ("grad_norm", "loss_eval"))
        if not good or (field.name == "step" and value > step):
            raise UserError(
                "wrong value", file=file, key=f"{key}.{field.name}", found=repr(value)[:80], expected=str(field.type)
            )


def _is_table(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _are_losses(value: object) -> bool:
    return isinstance(value, list) and all(map(is_number, value))


_KINDS: dict[str, Kind] = {
    "curve": _is_table,
    "layers": _is_table,
    "last_losses": _are_losses,
    "weight_steps": lambda value: type(value) is int and value >= 0,
    "tokens": is_count,
    "lr_wd_sum": is_number,
    "seconds": lambda value: is_number(value) and value >= 0,
    "recent_losses": _are_losses,
    "lowest_loss": or_null(is_number),
    "forked_from": or_null(is_text),
    "loss_before": or_null(is_number),
    "surgery": or_null(lambda value: isinstance(value, dict)),
    "loss_parent": or_null(is_number),
    "forked_step": or_null(is_count),
}
