"""Part 3: the speed of each size of sweeps/gpu.yaml, as `python -m bench.gpu` measures it, and the file for --measured."""

from __future__ import annotations

import json

from bench import gpu
from bench.hour.part import Finding, Part

MEASURED = "measured.json"
GOAL = 1.02  # masked over dense


def run(part: Part) -> None:
    """Writes MEASURED beside the part's own file."""
    if part.cpu:
        wanted = gpu.Wanted("sweeps/quick.yaml", "cpu", "4k", warm=2, seconds=0.1, minutes=part.left / 60)
    else:
        wanted = gpu.Wanted("sweeps/gpu.yaml", gpu.device_name(), beside=2, minutes=part.left / 60)
    found = []
    for one in gpu.measure(wanted, part.texts):
        found.append(one)
        part.more["sizes"] = found
        for line in gpu.lines(one):
            part.say(line.strip())
        _add(part, one)
        (part.out / MEASURED).write_text(json.dumps(gpu.for_measured(found), indent=1) + "\n")


def _add(part: Part, one: dict) -> None:
    what = f"{one['size']}, {one['runs']} at once" if one["runs"] > 1 else one["size"]
    if one["error"]:
        part.add(Finding(f"{what}: tokens a second", None, why=one["error"].splitlines()[-1].strip()))
        return
    planned = one["planned_tokens_per_second"]
    part.add(Finding(f"{what}: tokens a second", one["tokens_per_second"], least=planned))
    if one["runs"] == 1 and not part.cpu:
        [speed] = one["speeds"]
        part.add(Finding(f"{what}: masked over dense", speed["masked_over_dense"], most=GOAL))
        part.add(Finding(f"{what}: waits for the device in a step", speed["trace"]["waits"], most=1))
        ratio = speed["peak_bytes"] / one["planned_bytes"]
        part.add(Finding(f"{what}: peak memory over the plan's", ratio, least=0.9, most=1.1))
