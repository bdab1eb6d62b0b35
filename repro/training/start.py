"""The first checkpoint of a run that starts from the weights of another run or of a model folder.

A run that starts from its initialisation needs none. Other runs get a checkpoint of step 0: the weights as fp32 masters,
zero moments, no updates and full masks. From there they train, stop and resume like any run, at any ZeRO stage and
number of workers, and no longer need what they started from.
"""

from __future__ import annotations

import hashlib

import torch
from safetensors.torch import save

from repro.errors import UserError
from repro.models import start as model_folder
from repro.pruning.masks import packed
from repro.spec import ModelStart, RunSpec, RunStart
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import checkpoint, checkpoint_rows
from repro.training.checkpoint_manifest import FILE, FORMAT, MASKS, ROWS, examine, name_of, sealed, steps_in
from repro.training.engine import MOMENTS
from repro.training.fork import checkpoint_of
from repro.training.model import build, prunable
from repro.training.record import Log


def is_needed(spec: RunSpec, run: Folder) -> bool:
    """Whether a run still needs its initial weights: its spec has a start, and there is no complete checkpoint."""
    folder = run / "checkpoint"
    return spec.start is not None and all(examine(folder / name)[1] is not None for name in steps_in(folder))


def begin(spec: RunSpec, run: Folder, corpus_hash: str, parent: Folder | None = None) -> None:
    """Writes the checkpoint of step 0 of a run that starts from other weights.

    Args:
        spec: the run's spec, with a `start`.
        run: the run's folder.
        corpus_hash: hash of its corpus.
        parent: folder of the run that it starts from; None if it starts from a model folder.

    Raises:
        UserError: the weights don't exist, or aren't those that the spec names.
    """
    with torch.device("meta"):
        network = build(spec.model, spec.seed)
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    if isinstance(spec.start, RunStart):
        if parent is None:
            raise UserError(
                f"{spec.run_id} starts from another run, and its folder isn't given",
                key="start.run",
                found=f"no folder of {spec.start.parent.run_id}",
                expected="that run's folder, as --init",
            )
        weights = _of_run(spec, spec.start, parent, corpus_hash, shapes)
    elif isinstance(spec.start, ModelStart):
        weights = model_folder.weights(spec.model, spec.start, shapes)
    else:
        raise ValueError(f"{spec.run_id} starts from its initialisation")
    RunFolder(run).declare(spec, corpus_hash)
    _write(run / "checkpoint" / name_of(0), weights, list(prunable(network)), spec.identity(corpus_hash))


def _write(place: Folder, weights: dict[str, torch.Tensor], masked: list[str], identity: str) -> None:
    """Writes a checkpoint of step 0 with these flat fp32 weights; `masked`: names of the prunable ones."""
    state: dict[str, torch.Tensor] = {}
    for name, weight in weights.items():
        state |= {f"master/{name}": weight} | {f"{moment}/{name}": torch.zeros_like(weight) for moment in MOMENTS}
    masks = {name: packed(torch.ones(weights[name].numel(), dtype=torch.bool)) for name in masked}
    parts = {"rank-0.safetensors": save(state), MASKS: save(masks), ROWS: checkpoint_rows.dumped(Log().to_rows())}
    for file, data in parts.items():
        place.write(file, data)
    manifest = {
        "format": FORMAT,
        "step": 0,
        "identity": identity,
        "updates": 0,
        "world": 1,
        "zero_stage": 0,
        "layout": {"rank-0.safetensors": {name: [0, weight.numel()] for name, weight in weights.items()}},
        "files": {file: hashlib.sha256(data).hexdigest() for file, data in parts.items()},
    }
    place.write_json(FILE, sealed(manifest))


def _of_run(
    spec: RunSpec, start: RunStart, parent: Folder, corpus_hash: str, shapes: dict[str, torch.Size]
) -> dict[str, torch.Tensor]:
    """The parent's masters before its step `start.step`, flattened, by name."""
    trained, trained_on = RunFolder(parent).spec()
    if trained.fingerprint != start.fingerprint:
        raise UserError(
            f"not the run from which {spec.run_id} starts",
            file=f"{parent}/spec.json",
            key="fingerprint",
            found=trained.fingerprint,
            expected=start.fingerprint,
        )
    if spec.position and trained_on != corpus_hash:
        raise UserError(
            f"{spec.run_id} continues in the text of {trained.run_id}, which has changed since",
            file=f"{parent}/spec.json",
            key="corpus_hash",
            found=trained_on,
            expected=corpus_hash,
        )
    try:
        place, manifest = checkpoint_of(parent, start.step)
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
    return checkpoint.masters(place, manifest, {name: shape.numel() for name, shape in shapes.items()})
