"""How a sweep's tables were made: file, commit, time, machine and versions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analysis.shown import plain
from analysis.tables.data import Tables


def describe(tables: Tables) -> Iterator[tuple[str, str]]:
    """Terms and what is to be said of each, for the report and the card of the figures' tables."""
    sweep = tables.sweep
    for key, term in (("file", "sweep file"), ("commit", "commit"), ("created", "made")):
        if sweep.get(key):
            yield term, str(sweep[key])
    if sweep.get("seconds"):
        yield "wall time of the sweep", f"{sweep['seconds'] / 60:.1f} minutes"
    yield "training time, summed", f"{np.nansum(tables.all_runs['seconds']) / 60:.1f} minutes"
    hardware = {k: v for k, v in (sweep.get("hardware") or {}).items() if v}
    if hardware:
        yield (
            "hardware",
            ", ".join(f"{key.replace('memory_gib', 'memory, GiB')}: {plain(value)}" for key, value in hardware.items()),
        )
    versions = ({"python": sweep["python"]} if sweep.get("python") else {}) | (sweep.get("versions") or {})
    if versions:
        yield "versions", ", ".join(f"{package} {version}" for package, version in versions.items())
    yield "device", ", ".join(sorted({str(d) for d in tables.all_runs["device"] if d}))
    yield (
        "fits",
        "Huber loss (1e-3) of log residuals, summed, from a grid of starts; intervals by parametric bootstrap with the seeds' noise",
    )
