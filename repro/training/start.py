"""The first checkpoint of a run that starts from the weights of another run or of a model folder.

A run that starts from its initialisation needs none. Other runs get a checkpoint of step 0: the weights as fp32 masters,
zero moments, no updates and full masks. From there they train, stop and resume like any run, at any ZeRO stage and
number of workers, and no longer need what they started from.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from safetensors.torch import save

from repro.errors import UserError
from repro.models import start as model_folder
from repro.models.family import shapes_of
from repro.pruning.masks import packed
from repro.spec import ModelStart, RunSpec, RunStart
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.surgery.net import net_at, net_of
from repro.training import checkpoint, checkpoint_rows
from repro.training.checkpoint_manifest import MASKS, ROWS, examine, finish, name_of, put, steps_in
from repro.training.fork import checkpoint_of
from repro.training.masters import MOMENTS
from repro.training.model import build, prunable
from repro.training.record import Log
from repro.training.run import RunInProgress
from repro.training.surgery import Operated, operate


def is_needed(spec: RunSpec, run: Folder) -> bool:
    """Whether a run still needs its initial weights: its spec has a start, and there is no complete checkpoint."""
    folder = run / "checkpoint"
    return spec.start is not None and all(examine(folder / name)[1] is not None for name in steps_in(folder))


def begin(run: RunInProgress) -> None:
    """Writes the checkpoint of step 0 of a run that starts from other weights, after surgery if its spec has one.

    Raises:
        UserError: the weights don't exist, or aren't those that the spec names, or surgery refuses them or the text.
    """
    spec, log = run.spec, Log()
    with torch.device("meta"):
        network = build(spec.model, spec.seed)
    if isinstance(spec.start, RunStart):
        found = _of_run(run, spec.start)
    elif isinstance(spec.start, ModelStart):
        found = _of_folder(run, spec.start, {name: one.shape for name, one in network.named_parameters()})
    else:
        raise ValueError(f"{spec.run_id} starts from its initialisation")
    if isinstance(found, Operated):
        log.surgery, log.loss_before, found = found.record, found.loss_before, found.weights
    weights = {name: found[name] for name, _ in network.named_parameters()}
    run.place.declare(spec, run.text.hash)
    _write(run.place.folder / "checkpoint" / name_of(0), weights, list(prunable(network)), run.identity, log)


def _write(place: Folder, weights: dict[str, torch.Tensor], masked: list[str], identity: str, log: Log) -> None:
    """Writes a checkpoint of step 0 with these flat fp32 weights; `masked`: names of the prunable ones."""
    state: dict[str, torch.Tensor] = {}
    for name, weight in weights.items():
        state |= {f"master/{name}": weight} | {f"{moment}/{name}": torch.zeros_like(weight) for moment in MOMENTS}
    masks = {name: packed(torch.ones(weights[name].numel(), dtype=torch.bool)) for name in masked}
    parts = {"rank-0.safetensors": save(state), MASKS: save(masks), ROWS: checkpoint_rows.dumped(log.to_rows())}
    finish(
        place,
        step=0,
        identity=identity,
        updates=0,
        world=1,
        zero_stage=0,
        layout={"rank-0.safetensors": {name: [0, weight.numel()] for name, weight in weights.items()}},
        files=put(place, parts),
    )


def _of_run(run: RunInProgress, start: RunStart) -> dict[str, torch.Tensor] | Operated:
    """The parent's masters before its step `start.step`, flattened, by name; or what surgery leaves of them."""
    place, manifest = _checkpoint_of_parent(run, start)
    model = start.parent.model
    masters = checkpoint.masters(place, manifest, {name: prod(shape) for name, shape in shapes_of(model).items()})
    if start.surgery is None:
        return masters
    return operate(run, start.surgery, net_at(model, place, manifest), masters)


def _checkpoint_of_parent(run: RunInProgress, start: RunStart) -> tuple[Folder, dict[str, Any]]:
    spec, parent = run.spec, run.parent
    if parent is None:
        raise UserError(
            f"{spec.run_id} starts from another run, and its folder isn't given",
            key="start.run",
            found=f"no folder of {start.parent.run_id}",
            expected="that run's folder, given as --init",
        )
    trained, trained_on = RunFolder(parent).spec()
    if trained.fingerprint != start.fingerprint:
        raise UserError(
            f"not the run from which {spec.run_id} starts",
            file=f"{parent}/spec.json",
            key="fingerprint",
            found=trained.fingerprint,
            expected=start.fingerprint,
        )
    if spec.position and trained_on != run.text.hash:
        raise UserError(
            f"{spec.run_id} continues in the text of {trained.run_id}, which has changed since",
            file=f"{parent}/spec.json",
            key="corpus_hash",
            found=trained_on,
            expected=run.text.hash,
        )
    try:
        return checkpoint_of(parent, start.step)
    except UserError as error:
        status = RunFolder(parent).status()
        said = {
            "failed": f"it failed: {status.get('reason', '')}",
            "done": "it is done: delete its folder to train it again",
        }
        raise UserError(
            f"{trained.run_id} has left no weights of step {start.step:,} for {spec.run_id} to start from",
            file=parent,
            key="start.at",
            found=error.found,
            expected=said.get(status["state"], error.expected),
        ) from error


def _of_folder(
    run: RunInProgress, start: ModelStart, shapes: dict[str, torch.Size]
) -> dict[str, torch.Tensor] | Operated:
    """The weights of a model folder, flattened, by name; or what surgery leaves of them."""
    if start.surgery is None or start.before is None:
        return model_folder.weights(run.spec.model, start, shapes)
    net = net_of(model_folder.opened(start))
    model_folder.check_model(net.spec, start.before, net.file)
    return operate(run, start.surgery, net, None)
