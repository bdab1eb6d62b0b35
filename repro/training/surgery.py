"""The surgery between two runs: on the weights that a run starts from, as they would be exported, before its first step.

Pure: the same weights, text and spec give the same weights, to the bit, so a run that is killed here begins anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from repro.spec import SurgerySpec
from repro.surgery.calibration_set import CalibrationSet, from_corpus
from repro.surgery.grow import grow
from repro.surgery.methods import prune
from repro.surgery.net import Made, Net
from repro.training import record
from repro.training.batch import Batch
from repro.training.model import build, query_scale
from repro.training.passes import Losses, heldout
from repro.training.run import RunInProgress


@dataclass(frozen=True)
class Operated:
    """What a surgery leaves.

    Attributes:
        weights: flat, fp32, by the run's parameter names, with its scale of queries.
        record: of the surgery; see surgery.methods.prune and surgery.grow.grow.
        loss_before: held-out loss of the weights before, in nats/token, on the run's blocks.
    """

    weights: dict[str, torch.Tensor]
    record: dict[str, Any]
    loss_before: float


def operate(run: RunInProgress, surgery: SurgerySpec, net: Net, own: dict[str, torch.Tensor] | None) -> Operated:
    """Prunes or grows the model that a run starts from as its spec says.

    Args:
        net: the model.
        own: its weights as runs have them, flat, with their scale of queries; None: they are the net's. Scaling rounds, so
            these are what the run gets if nothing changes, and what grows: growth commutes with the scale.

    Raises:
        UserError: the calibration text is too short, or weights that the method refuses.
    """
    spec, made = run.spec.model, _made(run, surgery, net, own)
    if own is not None and not surgery.changes:
        weights = own
    else:
        is_scaled = own is not None and surgery.grows
        scaled = {
            name: weight.float() / (1.0 if is_scaled else query_scale(spec, name))
            for name, weight in made.net.weights.items()
        }
        weights = {name: weight.flatten().contiguous() for name, weight in scaled.items()}
    found = made.record
    if run.spec.model_before is not None:
        promised = surgery.counts(run.spec.model_before)
        if different := {key: (found[key], count) for key, count in promised.items() if found[key] != count}:
            raise AssertionError(f"the surgery left, and the plan promised: {different}")
    return Operated(weights, found, _loss(run, net))


def _made(run: RunInProgress, surgery: SurgerySpec, net: Net, own: dict[str, torch.Tensor] | None) -> Made:
    if surgery.factor is not None:
        if own is not None:
            net = replace(net, weights={name: own[name].view(weight.shape) for name, weight in net.weights.items()})
        return grow(net, surgery.method, surgery.factor, seed=surgery.seed or 0)
    return prune(
        net,
        surgery.method,
        surgery.rate,
        structure=surgery.structure if surgery.structure != "unstructured" else None,
        text=_calibration(run, surgery),
        seed=surgery.seed or 0,
        progress=partial(print, flush=True),
    )


def _calibration(run: RunInProgress, surgery: SurgerySpec) -> CalibrationSet | None:
    wanted = surgery.calibration
    if wanted is None:
        return None
    return from_corpus(run.text, wanted.sequences, wanted.tokens or run.spec.model.sequence, wanted.seed)


def _loss(run: RunInProgress, net: Net) -> float:
    """Held-out loss of a model in the precision of the run, by this process alone."""
    evaluation = run.spec.evaluation
    network = build(replace(net.spec, init="transformers"), seed=0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(net.weights[name])
    module: nn.Module = network.eval()
    module.to(run.device, torch.bfloat16 if run.spec.precision == "bf16" else torch.float32)
    blocks = run.text.heldout_blocks(evaluation.blocks, evaluation.block_sequences)

    def losses(batch: Batch) -> Losses:
        found: Losses = network(batch.tokens, batch.positions, batch.targets, batch.documents)
        return found

    return record.token_weighted(*heldout(losses, run.device, run.text, blocks, run.micro))
