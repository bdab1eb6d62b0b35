"""Checkpoints: masters, moments and packed masks as safetensors, then a manifest of hashes; nothing is pickled.

A checkpoint is a folder `checkpoint/step-NNNNNNNN` of a run: `rank-R.safetensors` from each rank (at stage 0 only
from the first), `masks.safetensors`, where it matters `removals.safetensors`, and the rows logged so far from rank 0, and
last `manifest.json`, which lists the part of each tensor in each file. So a run can resume at another stage and worker count: each rank reads the
parts it needs. A folder without a manifest, or with a file that doesn't match it, is ignored, and the previous
checkpoint is used. There is no other state: dropout is off, and a step's batch follows from the step and the seed.
Checkpoints for other runs to start from are in `forks/` instead, where newer ones don't replace them.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from safetensors.torch import save as save_tensors

from repro.pruning.pruner import Pruner
from repro.store.folder import Folder
from repro.training.checkpoint_manifest import FILE, ROWS, examine, finish, name_of, put, remove, steps_in
from repro.training.checkpoint_rows import dumped
from repro.training.checkpoint_tensors import load_masks, mask_files, refuse_another, refuse_others, state
from repro.training.masters import Fragment
from repro.training.zero import DeepSpeedEngine

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Restored:
    """Where a run resumes: `step` is the next step; `rows` are the logged rows (unchecked) of the folder `place`."""

    place: Folder
    step: int
    rows: dict[str, Any]


def save(
    folder: Folder,
    engine: DeepSpeedEngine,
    pruner: Pruner,
    step: int,
    rows: dict[str, Any],
    identity: str,
    keep: int | None,
) -> None:
    """Saves the state before the forward pass of `step`, then removes all but the last `keep`. Collective.

    Args:
        folder: the run's checkpoint folder.
        engine, pruner: the state to save.
        step: updates done so far.
        rows: JSON-serialisable records to restore (curve and layer rows, sums).
        identity: identity of the spec and its corpus, checked when restoring.
        keep: how many checkpoints to keep, including this one; None keeps all.

    Raises:
        OSError: a file could not be written, on any rank; earlier checkpoints are unchanged.
    """
    rank, place = dist.get_rank(), folder / name_of(step)
    first = rank == 0

    def shard() -> tuple[dict[str, str], dict[str, Any]]:
        if not first and not engine.sharded:
            return {}, {}
        file = f"rank-{rank}.safetensors"
        layout = {f.name: [f.offset, f.master.numel()] for f in engine.fragments()}
        return put(place, {file: save_tensors(_state(engine))}), {file: layout}

    def rest() -> None:
        if not first:
            return
        others = put(place, mask_files(pruner) | {ROWS: dumped(rows)})
        finish(
            place,
            step=step,
            identity=identity,
            updates=engine.updates(),
            world=dist.get_world_size(),
            zero_stage=engine.stage,
            layout={file: layout for _, layouts in written for file, layout in layouts.items()},
            files={file: digest for digests, _ in written for file, digest in digests.items()} | others,
        )
        if keep is not None:
            keep_last(folder, keep, newest=step)

    try:
        _together(lambda: remove(place) if first else None)
        written = _together(shard)
        _together(rest)
    except OSError:
        if first and not place.exists(FILE):
            with contextlib.suppress(OSError):
                place.delete()  # frees the space of the incomplete checkpoint
        raise


def restore(folder: Folder, engine: DeepSpeedEngine, pruner: Pruner, identity: str) -> Restored | None:
    """Loads the newest complete checkpoint of this run; returns None if there is none. Collective."""
    for name in reversed(steps_in(folder)):
        place = folder / name
        manifest, fault = examine(place, share=(dist.get_rank(), dist.get_world_size()))
        faults = _together(partial(str, fault or ""))
        if fault := next(filter(None, faults), None):
            if dist.get_rank() == 0:
                log.warning("%s is damaged (%s); using the one before it", place, fault)
            continue
        if manifest["identity"] != identity:
            continue
        load(place, manifest, engine, pruner)
        refuse_others(place, manifest["step"], pruner)
        return Restored(place, manifest["step"], place.read_json(ROWS))
    return None


def missing(folder: Folder, steps: tuple[int, ...], identity: str) -> set[int]:
    """The `steps` without a complete checkpoint of this run; the same on every rank. Collective."""

    def lacking() -> set[int]:
        found = {step: examine(folder / name_of(step)) for step in steps}
        return {step for step, (manifest, fault) in found.items() if fault or manifest["identity"] != identity}

    return _together(lambda: lacking() if dist.get_rank() == 0 else set())[0]


def load(place: Folder, manifest: dict[str, Any], engine: DeepSpeedEngine, pruner: Pruner) -> None:
    """Copies a checkpoint's masters, moments and masks into an engine of any stage and world size. Collective.

    Raises:
        UserError: it doesn't have exactly the weights of this model, or what its run needs besides.
    """
    refuse_another(place, manifest, {name: shape.numel() for name, shape in engine.shapes().items()})
    fragments = {f.name: f for f in engine.fragments()}
    for file, layout in manifest["layout"].items():
        shared = {n: s for n in fragments if n in layout and (s := _overlap(fragments[n], *layout[n]))}
        if not shared:
            continue
        saved = state(place, file, layout)
        for name, (mine, theirs, count) in shared.items():
            f = fragments[name]
            for key, tensor in f.tensors.items():
                tensor.narrow(0, mine, count).copy_(saved[f"{key}/{name}"].narrow(0, theirs, count))
    load_masks(place, manifest, pruner)
    engine.set_updates(manifest["updates"])
    engine.cast_masters()
    pruner.apply()


def masters(place: Folder, manifest: dict[str, Any], wanted: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """The fp32 weights of a checkpoint, flattened, by name; needs no engine and no process group.

    Args:
        place, manifest: a checkpoint that `checkpoint_manifest.examine` found to be complete.
        wanted: number of weights of each tensor of the model.

    Raises:
        UserError: the checkpoint has other weights.
    """
    refuse_another(place, manifest, wanted)
    whole = {name: torch.empty(size) for name, size in wanted.items()}
    for file, layout in manifest["layout"].items():
        saved = state(place, file, layout)
        for name, (offset, count) in layout.items():
            whole[name].narrow(0, offset, count).copy_(saved[f"master/{name}"])
    return whole


def keep_last(folder: Folder, keep: int, newest: int) -> None:
    """Removes all checkpoints but the last `keep` up to step `newest`, and incomplete ones."""
    names = steps_in(folder)
    whole = [name for name in names if name <= name_of(newest) and (folder / name).exists(FILE)]
    for name in names:
        if name not in whole[-keep:]:
            remove(folder / name)


# -------------------------------------------------------------------------------------------------- inside


def _state(engine: DeepSpeedEngine) -> dict[str, torch.Tensor]:
    return {
        f"{key}/{f.name}": tensor.detach().cpu().contiguous().clone()
        for f in engine.fragments()
        for key, tensor in f.tensors.items()
    }


def _overlap(f: Fragment, offset: int, count: int) -> tuple[int, int, int] | None:
    """Overlap of a fragment and a saved range of its tensor: (index in ours, index in theirs, weights)."""
    first, last = max(f.offset, offset), min(f.offset + f.master.numel(), offset + count)
    return (first - f.offset, first - offset, last - first) if first < last else None


def _together(work: Callable[[], T]) -> list[T]:
    """The results of `work` on all ranks; an OSError on any rank is raised on all, so that none waits forever."""
    mine: Any = None
    error: tuple[int | None, str] | None = None
    try:
        mine = work()
    except OSError as caught:
        error = (caught.errno, caught.strerror or str(caught))
    outcomes: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(outcomes, (mine, error))
    for _, failure in outcomes:
        if failure is not None:
            raise OSError(*failure)
    return [result for result, _ in outcomes]
