"""Where one threshold over all weights takes them: density by tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc

from analysis.figures import style
from analysis.figures.compute import largest
from analysis.figures.panel import Curve, Meaning, Panel, Points, of_each_sparsity
from analysis.findings.evidence import Evidence

NAME = "density"
TITLE = "Density by tensor"
NOTHING = "the sweep's tables hold no density by tensor"
CAPTION = (
    "What one global threshold leaves of each kind of tensor, averaged over blocks, at 25/50/25 of the largest size at the largest budget: "
    "after the last event, and on the way at the highest sparsity. All tensors together are the thin line."
)
LAST = "all tensors"
MEANS = {
    "event": Meaning("", "index of the pruning event"),
    "step": Meaning("steps", "step before whose forward pass the event happens"),
    "tensor": Meaning("", "kind of tensor, over all blocks, or all tensors"),
    "kept": Meaning("parameters", "weights left after the event"),
    "size": Meaning("parameters", "weights in tensors of this kind"),
    "density": Meaning("", "kept / size"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per run, event and kind of tensor."""
    layers, law_set, found = evidence.tables.layers, evidence.tables.law_set, []
    for run in sorted(largest(law_set.where(law_set.sparse)).rows(), key=lambda r: r["sparsity"]):
        own = layers.filter(pc.equal(layers["run_id"], run["run_id"])).to_pylist()
        sums: dict[tuple[int, int, str], list[int]] = {}
        for row in own:
            kind_of_layer = (
                row["tensor"].removesuffix(".weight").split(".")[-1]
            )  # q_proj of model.layers.0.self_attn.q_proj
            for kind in (kind_of_layer, LAST):
                held = sums.setdefault((row["event"], row["step"], kind), [0, 0])
                held[0] += row["kept"]
                held[1] += row["size"]
        found += [
            {"run_id": run["run_id"], "sparsity": run["sparsity"], "event": event, "step": step, "tensor": kind,
             "kept": kept, "size": size, "density": kept / size}
            for (event, step, kind), (kept, size) in sorted(sums.items())
        ]  # fmt: skip
    return found


def panels(evidence: Evidence) -> list[Panel]:
    """After the last event at every sparsity; over the events at the highest."""
    found = rows(evidence)
    if not found:
        return []
    kinds = [k for k in dict.fromkeys(r["tensor"] for r in found) if k != LAST]
    points: list[Points] = []
    for sparsity in sorted({r["sparsity"] for r in found}):
        own = [r for r in found if r["sparsity"] == sparsity]
        last = {r["tensor"]: r for r in own if r["event"] == max(o["event"] for o in own)}
        drawn = [last[kind] | {"place": place} for place, kind in enumerate(kinds)]
        points += of_each_sparsity(drawn, "place", "density", joined=True)
    sparsest = [r for r in found if r["sparsity"] == max(o["sparsity"] for o in found)]
    curves, guides = [], []
    for i, kind in enumerate((*kinds, LAST)):
        own = [r for r in sparsest if r["tensor"] == kind]
        x, y = np.array([float(r["step"]) for r in own]), np.array([r["density"] for r in own])
        if kind == LAST:
            guides.append((x, y))
        else:
            curves.append(Curve(style.of_tensor(kind, i), x, y, own[0]["run_id"]))
    return [
        Panel("after the last event", "tensor", "density", tuple(points), ticks=tuple(kinds), limits=(0.0, 1.0)),
        Panel(
            f"on the way, {sparsest[0]['sparsity']:.0%}", "step", "density", curves=tuple(curves), guides=tuple(guides),
            limits=(0.0, 1.02),
        ),
    ]  # fmt: skip
