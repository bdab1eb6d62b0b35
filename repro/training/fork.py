"""Forks: a run continues from another run's checkpoint, so that a shared prefix is trained only once."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from repro.errors import UserError
from repro.spec import HOW, RunSpec, canonical
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder, changed_text
from repro.training import checkpoint_rows
from repro.training.checkpoint_manifest import ROWS, examine, finish, name_of, newest, put, remove, sizes, steps_in


def fork(parent: Folder, child: Folder, spec: RunSpec, step: int | None = None, corpus_hash: str | None = None) -> int:
    """Copies a checkpoint of `parent` to `child`, where training of `spec` then continues from it.

    Model, text, batch, learning rates and pruning up to this step must be the same; later schedules, seed and number
    of steps may differ. The child's tables name the parent; its seconds include the parent's up to this step. If
    everything else is the same too (`sweeps.prefix_plan` ensures it), all other numbers are equal to the bit.

    Args:
        parent, child: run folders.
        spec: the child's spec.
        step: the checkpoint's step; None takes the newest complete one.
        corpus_hash: hash of the child's corpus, if known; it must be the parent's.

    Returns:
        The step from which the child continues.

    Raises:
        UserError: there is no such checkpoint, or the child wouldn't have the same state at that step.
    """
    trained, trained_on = RunFolder(parent).spec()
    if corpus_hash not in (None, trained_on):
        expected = f"{corpus_hash}, of the present text"
        raise changed_text(f"{trained.run_id} was trained", f"{parent}/spec.json", trained_on, expected)
    place, manifest = checkpoint_of(parent, step)
    at = manifest["step"]
    _check_same_past(trained, spec, at, parent)
    if begun(child):
        raise UserError(
            "the new run has begun already",
            file=child,
            found=", ".join((child / "checkpoint").names()),
            expected="a folder without checkpoints",
        )
    log = checkpoint_rows.restored(place.read_json(ROWS), trained, at, f"{place}/{ROWS}")
    for row in (*log.curve, *log.layers):
        row["run_id"] = spec.run_id
    log.forked_from, log.forked_step, log.last_losses = trained.run_id, at, []
    copy = child / "checkpoint" / place.name
    for file in sorted(manifest["files"].keys() - {ROWS}):
        copy.write(file, place.read(file))
    files = manifest["files"] | put(copy, {ROWS: checkpoint_rows.dumped(log.to_rows())})
    RunFolder(child).declare(spec, trained_on)
    finish(copy, **(manifest | {"files": files, "identity": spec.identity(trained_on)}))
    return at


def begun(child: Folder) -> bool:
    """Whether a run has a checkpoint; an incomplete copy of a fork doesn't count."""
    return bool(newest(child))


def ready(parent: Folder, step: int) -> bool:
    """Whether a run has a complete checkpoint in `forks/` for `step` (`train(forks=...)`)."""
    return examine(parent / "forks" / name_of(step))[1] is None


def has_weights(parent: Folder, step: int) -> bool:
    """Whether a run has any complete checkpoint of `step`, in `forks/` or `checkpoint/`."""
    return any(examine(parent / folder / name_of(step))[1] is None for folder in ("forks", "checkpoint"))


def discard(parent: Folder, keep: Collection[int] = ()) -> None:
    """Removes the checkpoints in a run's `forks/`, except those of the steps in `keep`."""
    kept = {name_of(step) for step in keep}
    for name in steps_in(parent / "forks"):
        if name not in kept:
            remove(parent / "forks" / name)


def checkpoint_of(parent: Folder, step: int | None = None) -> tuple[Folder, dict[str, Any]]:
    """A run's complete checkpoint of `step` (None: the newest) and its manifest; those of other runs don't count.

    Raises:
        UserError: there is none, or no run has begun in this folder.
    """
    trained, trained_on = RunFolder(parent).spec()
    folders = (parent / "forks", parent / "checkpoint")
    there = sorted(((name, folder) for folder in folders for name in steps_in(folder)), key=lambda found: found[0])
    faults = {}
    for name, folder in reversed(there):
        if step is None or name == name_of(step):
            manifest, fault = examine(folder / name)
            if fault is None and manifest["identity"] != trained.identity(trained_on):
                fault = f"of another run than {trained.run_id}"
            elif fault is None and (held := sum(sizes(manifest).values())) != trained.model.shape.total:
                # Refused before memory is allocated for it.
                fault = f"{held:,} weights, and the spec says {trained.model.shape.total:,}"
            if fault is None:
                return folder / name, manifest
            faults[name] = fault
    raise UserError(
        "no such checkpoint",
        file=parent,
        key="step",
        found=", ".join(f"{n}: {f}" for n, f in faults.items()) or ", ".join(n for n, _ in there) or "none",
        expected="a complete one" if step is None else f"a complete {name_of(step)}",
    )


def _check_same_past(trained: RunSpec, spec: RunSpec, at: int, parent: Folder) -> None:
    def differ(key: str, found: object, expected: object) -> UserError:
        return UserError(
            f"{spec.run_id} can't continue from {trained.run_id}", file=parent, key=key, found=found, expected=expected
        )

    for key in ("model", "corpus"):
        mine, theirs = getattr(spec, key), getattr(trained, key)
        for field in dataclasses.fields(mine):
            a, b = getattr(mine, field.name), getattr(theirs, field.name)
            if a != b and field.metadata.get("identity", True):
                raise differ(f"{key}.{field.name}", a, b)
    began_with, theirs_began = (canonical(run.start) if run.start else "the initialisation" for run in (spec, trained))
    if began_with != theirs_began:
        raise differ("start", began_with, theirs_began)
    if spec.position != trained.position:
        raise differ("position", spec.position, trained.position)
    if spec.optimizer.batch != trained.optimizer.batch:
        raise differ("optimizer.batch", spec.optimizer.batch, trained.optimizer.batch)
    if at > spec.last_percent:
        raise differ("dense_steps", f"{spec.schedule.total_steps} steps", f"{at} and the last 1% of them")
    size = spec.model.shape.prunable
    mine, theirs = (
        [
            (s, run.schedule.kept(event, size), run.schedule.moved(event, size))
            for s in range(at)
            if (event := run.schedule.event_at(s)) is not None
        ]
        for run in (spec, trained)
    )
    if mine != theirs:
        raise differ(
            "pruning", f"{len(mine)} events before step {at}", f"the {len(theirs)} that there were, with their counts"
        )
    for s in range(at):
        lr, theirs_then = (run.optimizer.lr_at(s, run.schedule) for run in (spec, trained))
        if lr != theirs_then:
            raise differ("optimizer.lr", f"{lr:.9g} at step {s}", f"{theirs_then:.9g}, as it was before step {at}")
    for key in HOW:
        if theirs and getattr(spec.pruning, key) != getattr(trained.pruning, key):
            raise differ(f"pruning.{key}", getattr(spec.pruning, key), getattr(trained.pruning, key))
