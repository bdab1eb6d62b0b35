"""torch.compile with settings under which many runs of a process share graphs.

A graph belongs to a shape, not to a model: the weights are among its inputs. So a process that trains one run after the other
compiles each shape once, and PyTorch keeps the code in a folder, where other processes of the machine find it.
"""

from __future__ import annotations

from typing import Literal

import torch

from repro.compiler import compiler
from repro.training import compile_cache
from repro.training.model import Llama

GRAPHS = (
    4096  # of all shapes of a process, two each; beyond PyTorch's own limit of 8 models would run uncompiled, unsaid
)


def compile_if(wanted: bool | Literal["auto"], network: Llama, device: torch.device) -> None:
    """Compiles a model if it is wanted, or if "auto" and there is a C++ compiler."""
    if wanted is False or (wanted == "auto" and compiler() is None):
        return
    compile_cache.share()
    config = torch._dynamo.config
    config.recompile_limit = config.accumulated_recompile_limit = GRAPHS
    config.fail_on_recompile_limit_hit = True
    if device.type == "cpu":
        # A lane has one core. By default each process would start one more process for every core, to compile in.
        torch._inductor.config.compile_threads = 1
    network.compile()
