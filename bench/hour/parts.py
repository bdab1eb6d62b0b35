"""The five parts, and how one is run to its end, whatever happens."""

from __future__ import annotations

import importlib
import traceback
import warnings
from dataclasses import dataclass

from bench.hour.part import Part


@dataclass(frozen=True)
class Task:
    """A part as it is announced. module: in bench.hour. minutes: how long it may take on a GPU. does: in words."""

    module: str
    minutes: float
    does: str


PARTS = (
    Task("engines", 1.5, "engines one after the other at ZeRO 0 to 3, in fp32 and bf16; masks and losses against the CPU's"),
    Task("kernels", 4, "attention of one layer by kernel, cross-entropy, masking, a pruning event, each by itself"),
    Task("sweep", 8, "bench.gpu for the sizes of sweeps/gpu.yaml, two runs beside each other too; writes measured.json"),
    Task("settings", 9.5, "162m of sweeps/paper.yaml eager and compiled, concatenated and documents; 58m and 468m"),
    Task("life", 4, "a size of sweeps/gpu.yaml killed and resumed, short of memory, exported and evaluated"),
)  # fmt: skip


def run(task: Task, part: Part) -> bool:
    """Runs a part in this process and completes its file. Returns whether it came to its end without an error."""
    warnings.simplefilter("ignore", FutureWarning)  # of torch to DeepSpeed, at every step of stage 3
    try:
        importlib.import_module(f"bench.hour.{task.module}").run(part)
    except Exception as error:  # whatever it is, the other parts are run, and the file says it
        traceback.print_exc()
        part.save(f"{type(error).__name__}: {error}")
        return False
    part.save(None)
    return True
