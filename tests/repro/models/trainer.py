"""What the trainer itself computes: the logits of an engine that has restored a run's newest checkpoint."""

from __future__ import annotations

import torch

from repro.corpus import Corpus
from repro.pruning.pruner import Pruner
from repro.resources import Resources
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import checkpoint, train, zero


def logits(run: Folder, text: Corpus, tokens: torch.Tensor) -> torch.Tensor:
    """(B, T) tokens -> (B, T, V) fp32, as the run would go on with them."""
    spec, _ = RunFolder(run).spec()
    resources, device = Resources(device="cpu"), torch.device("cpu")
    with zero.process_group(device), train._engine(spec, resources, device) as engine, torch.no_grad():
        pruner = Pruner(engine, spec.schedule, spec.pruning, spec.seed)
        found = checkpoint.restore(run / "checkpoint", engine, pruner, spec.identity(text.hash))
        assert found is not None
        assert found.step == int((run / "checkpoint").names()[-1].removeprefix("step-"))
        return engine(input_ids=tokens, use_cache=False).logits.float().clone()
