"""What the trainer itself computes: the logits of an engine that has restored a run's newest checkpoint."""

from __future__ import annotations

from contextlib import closing

import torch

from repro.corpus import Corpus
from repro.pruning.pruner import Pruner
from repro.resources import Resources
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import checkpoint
from repro.training.distributed import process_group
from repro.training.run import RunInProgress
from repro.training.train import engine_of


def logits(run: Folder, text: Corpus, tokens: torch.Tensor) -> torch.Tensor:
    """(B, T) tokens -> (B, T, V) fp32, as the run would go on with them."""
    spec, _ = RunFolder(run).spec()
    going_on = RunInProgress(spec, RunFolder(run), text, Resources(device="cpu"))
    with process_group(going_on.device), closing(engine_of(going_on)) as engine, torch.no_grad():
        pruner = Pruner(engine, spec)
        found = checkpoint.restore(run / "checkpoint", engine, pruner, going_on.identity)
        assert found is not None
        assert found.step == int((run / "checkpoint").names()[-1].removeprefix("step-"))
        found_logits: torch.Tensor = engine.module(tokens).logits
        return found_logits.float().clone()
