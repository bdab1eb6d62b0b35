"""The tables of docs/evidence.md, from the files in docs/evidence. `python -m tests.docs.evidence` writes them again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "evidence.md"
FOLDERS = sorted(file.parent for file in (ROOT / "docs" / "evidence").glob("*/noise.json"))
WITHOUT_CLAIMS = {"lr-sparse", "regime-lr"}  # searches for learning rates: no claim is about them
ABOUT = {"regime": {"h"}}  # of its claims those that it was made for

Row = tuple[str, ...]


def with_tables(page: str) -> str:
    """The page with its tables as the files have them; each stands between two comments."""
    for name, heading, rows in (
        ("runs", ("folder", "sweep file", "date", "commit", "runs", "minutes", "machine"), _runs()),
        ("noise", ("folder", "σ, nats", "seeds apart", "error of the dense law, nats", "E identified"), _noise()),
        ("claims", ("folder", "claim", "verdict", "measured [interval]", "true: confirmed, rejected", "false: confirmed, rejected"),
         _claims()),
    ):  # fmt: skip
        table = "\n".join(f"| {' | '.join(row)} |" for row in (heading, ("---",) * len(heading), *rows))
        found = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", page, re.DOTALL)
        if found is None:
            raise ValueError(f"no place for the table {name}")
        page = f"{page[: found.start(1)]}\n{table}\n\n{page[found.end(1) :]}"
    return page


def _runs() -> Iterator[Row]:
    for folder in FOLDERS:
        noise, sweep = _read(folder, "noise.json"), _read(folder, "sweep.json")
        hardware = noise["hardware"]
        yield (
            f"`{folder.name}`",
            f"`sweeps/{Path(sweep['file']).name}`",
            sweep["created"][:10],
            f"`{noise['commit']}`",
            str(pq.read_metadata(folder / "runs.parquet").num_rows),
            f"{noise['minutes']:.0f}",
            hardware["gpu"] or f"{hardware['cores']} cores, {hardware['cpu']}",
        )


def _noise() -> Iterator[Row]:
    for folder in FOLDERS:
        noise = _read(folder, "noise.json")
        identified = {True: "yes", False: "no", None: "–"}[noise["E_identified"]]
        apart = "–" if noise["pooled_sd"] is None else str(len(noise["apart"]))
        yield f"`{folder.name}`", _number(noise["pooled_sd"]), apart, _number(noise["dense_law_error"]), identified


def _claims() -> Iterator[Row]:
    for folder in FOLDERS:
        for claim in [] if folder.name in WITHOUT_CLAIMS else _read(folder, "claims.json"):
            if claim["claim"] in ABOUT.get(folder.name, {claim["claim"]}):
                low, high = claim["interval"] or (None, None)
                measured = f"{_number(claim['measured'])} [{_number(low)}, {_number(high)}]"
                rates = (_rate(claim["rates"], "true"), _rate(claim["rates"], "false"))
                yield f"`{folder.name}`", claim["claim"], claim["verdict"], measured, *rates


def _rate(rates: dict[str, Any] | None, truth: str) -> str:
    """Of the worlds of one truth, how many the rule confirmed and how many it rejected."""
    if not rates:
        return "–"
    found = rates[truth]
    return f"{found['reproduced']}, {found['not_reproduced']} of {found['worlds']}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if abs(value) >= 1 else f"{value:.4f}"


def _read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
