"""Part 4: 162m of sweeps/paper.yaml in several settings, and 58m and 468m as the sweep has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from bench.apart import Request, at_once, measured, sizes
from bench.gpu import device_name
from bench.hour.part import Finding, Part
from bench.hour.sweep import GOAL
from repro.errors import UserError
from repro.training import hardware
from sweeps.grid import expand
from sweeps.throughput import flops_per_token


@dataclass(frozen=True)
class Setting:
    """One measurement. seconds: that it is expected to take at most; least: expected MFU."""

    size: str
    packing: Literal["concatenate", "documents"] = "documents"
    seconds: float = 90
    least: float | None = None
    resources: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        keys = ", ".join(f"{key}: {str(value).lower()}" for key, value in self.resources.items())
        return f"{self.size}, {self.packing}, {keys}"


COMPILED, EAGER = {"compile": True}, {"compile": False}
# The most important first: those that no time is left for are left out. Seconds are an H200's, compiling included.
LARGE = (
    Setting("162m", seconds=110, least=0.40, resources=COMPILED),
    Setting("468m", seconds=160, least=0.45, resources=COMPILED),
    Setting("58m", seconds=90, least=0.33, resources=COMPILED),
    Setting("162m", seconds=90, resources=EAGER),
    Setting("162m", seconds=110, resources=COMPILED | {"deterministic": True}),
    Setting("162m", "concatenate", seconds=110, resources=COMPILED),
    Setting("162m", "concatenate", seconds=90, resources=EAGER),
)
SMALL = (
    Setting("4k", resources=EAGER),
    Setting("4k", "concatenate", resources=EAGER),
    Setting("4k", resources=EAGER | {"deterministic": True}),
)


def run(part: Part) -> None:
    """Measures each setting, on a GPU in a process of its own; counts how often a step waits for the device."""
    file, settings = ("sweeps/quick.yaml", SMALL) if part.cpu else ("sweeps/paper.yaml", LARGE)
    specs = sizes(expand(file))
    kept = part.more.setdefault("settings", {})
    for setting in settings:
        if part.left < 0.9 * setting.seconds:
            part.add(Finding(f"{setting.name}: tokens a second", None, why="no time was left"))
            continue
        limit = min(part.left, 1.5 * setting.seconds)
        part.say(f"{setting.name}, at most {limit:.0f} s")
        spec, texts = specs[setting.size], str(part.texts)
        try:
            if part.cpu:
                keys = {"device": "cpu"} | setting.resources
                made = measured(Request(file, setting.size, texts, 2, 0.1, limit, setting.packing, keys))
            else:
                request = Request(file, setting.size, texts, 3, 10, 0.8 * limit, setting.packing, setting.resources)
                [made] = at_once(request, 1, limit)
        except UserError as error:
            part.add(Finding(f"{setting.name}: tokens a second", None, why=str(error).splitlines()[-1].strip()))
            continue
        kept[setting.name] = made
        rate = made["tokens_per_second"]
        part.add(Finding(f"{setting.name}: tokens a second", rate))
        if not part.cpu:
            mfu = hardware.mfu(rate * flops_per_token(spec.model), 1.0, 1, device_name(), spec.precision)
            part.add(Finding(f"{setting.name}: MFU", mfu, least=setting.least, why="no peak is known"))
            part.add(Finding(f"{setting.name}: masked over dense", made["masked_over_dense"], most=GOAL))
        trace = made["trace"]
        part.say(
            f"attention: {', '.join(trace['attention'])}; {trace['waits']:.3g} waits, {trace['reads']:.3g} reads a step"
        )
