"""`python -m analysis keep`: what of a results folder is kept as evidence, small enough for a repository.

Tables from which `report` judges and draws everything again, how the sweep was made without this machine's paths, and
what `report` wrote, figures as PNG. Verdicts read the runs alone, so that curves may lose points and columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from repro import schemas, tables
from repro.errors import UserError
from repro.store.folder import Folder

LIMIT = 1_000_000  # bytes of all tables
POINTS = (400, 200, 100, 60)  # of a curve, tried in turn; fewer would change what figures of curves show
UNREAD = ("lr", "grad_norm", "ms")  # columns of curves that neither a figure nor the theory reads
WRITTEN = ("claims.json", "noise.json")  # by `report`, of every sweep
SOMETIMES = ("map.csv", "power.json")  # by `report`, of some
AGAIN = "`python -m analysis report` on it first"
PATH = re.compile(r"(?<![\w:/.])(?:[A-Za-z]:)?(?:[/\\][^\s/\\:'\",;)]+){2,}")


def keep(results: Folder, out: Folder) -> Iterator[str]:
    """Writes the evidence of `results` into `out`; yields a line for each thing kept, and for what it lost.

    Raises:
        UserError: nothing was reported yet, `out` holds another sweep's evidence, or the tables are too large however
            the curves are cut.
    """
    for name in WRITTEN:
        if not results.exists(name):
            raise UserError("nothing to keep yet", file=f"{results}/{name}", expected=AGAIN)
    made = _made(results, out)
    parts = {name: _table(results, name) for name in schemas.SCHEMAS if results.exists(f"{name}.parquet")}
    said, kept, encoded = _smallest(parts, results)
    for name, data in encoded.items():
        out.write(f"{name}.parquet", data)
        yield f"{name}.parquet: {kept[name].num_rows:,} rows, {len(data) / 1e3:,.0f} kB" + (
            f", {said}" if name == "curves" and said else ""
        )
    out.write_json("sweep.json", made)
    pictures = [f"figures/{name}" for name in _pictures(results)]
    for name in (*WRITTEN, *(n for n in SOMETIMES if results.exists(n)), *pictures):
        data = results.read(name)
        out.write(name, data)
        yield f"{name}: {len(data) / 1e3:,.0f} kB"


def _smallest(parts: dict[str, pa.Table], results: Folder) -> tuple[str, dict[str, pa.Table], dict[str, bytes]]:
    """The mildest cut under the limit: what it costs, the tables and their files."""
    encoded: dict[str, bytes] = {}
    for said, cut in _cuts():
        kept = parts | ({"curves": cut(parts["curves"])} if "curves" in parts else {})
        encoded = {name: tables.encode(table, level=19) for name, table in kept.items()}
        if sum(map(len, encoded.values())) <= LIMIT:
            return said, kept, encoded
    sizes = ", ".join(f"{name} {len(data) / 1e6:.2f} MB" for name, data in encoded.items())
    raise UserError(
        "the tables are too large to keep", file=str(results), found=f"{sizes}, curves at {POINTS[-1]} points a run",
        expected=f"{LIMIT / 1e6:g} MB in all: a sweep of fewer runs, or of fewer `evaluation.blocks` and pruning events",
    )  # fmt: skip


def _made(results: Folder, out: Folder) -> dict[str, Any]:
    """sweep.json without paths; refuses to write over another sweep's."""
    found = results.read_json("sweep.json") if results.exists("sweep.json") else {}
    if out.exists("sweep.json") and (other := out.read_json("sweep.json").get("name")) != found.get("name"):
        raise UserError(
            "another sweep's evidence", file=str(out), key="name", found=str(other), expected=f"{found.get('name')}, or a new folder"
        )  # fmt: skip
    return dict(_without_paths(found))


def _pictures(results: Folder) -> list[str]:
    """Figures as PNG; one without numbers says only that there is nothing to draw."""
    figures = results / "figures"
    names = set(figures.names()) if figures.exists() else set()
    drawn = {name.removesuffix(".csv") for name in names if name.endswith(".csv") and figures.read(name)}
    return sorted(f"{name}.png" for name in drawn if f"{name}.png" in names)


def _table(results: Folder, name: Any) -> pa.Table:
    """A table of today's columns without paths in its texts."""
    table = tables.read(results, f"{name}.parquet", name)
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            texts = [_without_paths(text) for text in table[field.name].to_pylist()]
            table = table.set_column(i, field, pa.array(texts, field.type))
    return table


def _cuts() -> Iterator[tuple[str, Callable[[pa.Table], pa.Table]]]:
    """Ways to cut curves, the mildest first, and what is to be said of each."""
    yield "", lambda curves: curves
    yield f"without {', '.join(UNREAD)}", _bare
    for count in POINTS:
        yield f"without {', '.join(UNREAD)}, {count} points a run", partial(_thinned, count=count)


def _bare(curves: pa.Table) -> pa.Table:
    """Curves with UNREAD null."""
    for name in UNREAD:
        field = curves.schema.field(name)
        curves = curves.set_column(curves.schema.get_field_index(name), field, pa.nulls(len(curves), field.type))
    return curves


def _thinned(curves: pa.Table, count: int) -> pa.Table:
    """The same with `count` points a run, evenly by step, the first and the last among them, and those that were evaluated."""
    curves = _bare(curves)
    ids = np.array(curves["run_id"].to_pylist(), dtype=object)
    steps = np.array(curves["step"].to_pylist())
    chosen = np.array([value is not None for value in curves["loss_eval"].to_pylist()], dtype=bool)
    for run_id in dict.fromkeys(ids):
        own = np.flatnonzero(ids == run_id)
        own = own[np.argsort(steps[own], kind="stable")]
        chosen[own[np.unique(np.linspace(0, len(own) - 1, count).round().astype(int))]] = True
    return curves.filter(pa.array(chosen))


def _without_paths(value: Any) -> Any:
    """The same with each absolute path in a text cut to its last part."""
    if isinstance(value, dict):
        return {key: _without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_paths(item) for item in value]
    if isinstance(value, str):
        return PATH.sub(lambda path: re.split(r"[/\\]", path.group())[-1], value)
    return value
