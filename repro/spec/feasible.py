"""Checks that a model can be pruned as specified, in training and before it."""

from __future__ import annotations

from dataclasses import fields, replace

from repro import ladder
from repro.errors import UserError
from repro.models.names import linear_weights
from repro.schedule import PruningSchedule
from repro.spec.model import ModelSpec
from repro.spec.pruning import PruningSpec
from repro.spec.surgery import SurgerySpec


def check_pruning(size: str, shape: ladder.Shape, pruning: PruningSpec, schedule: PruningSchedule) -> None:
    """Checks that a model of this shape, labelled `size`, can be pruned with this schedule.

    Raises:
        UserError: an unknown layer, no weights left for the pruned layers, a score without its gradient, a choice of
            weights that come back where none do, or a structure that the widths, the sparsity or other keys don't allow.
    """
    if unknown := set(pruning.do_not_prune) - set(shape.linears):
        expected = f"some of: {', '.join(shape.linears)}"
        raise UserError("no such linear layer", key="do_not_prune", found=", ".join(sorted(unknown)), expected=expected)
    left_alone = shape.prunable - _in_scope(shape, pruning)
    fewest = schedule.n_fewest(shape.prunable)
    if left_alone and left_alone >= fewest:
        message = f"the unpruned layers leave no weights for the others, in {size} at sparsity {pruning.sparsity:g}"
        found = f"{', '.join(pruning.do_not_prune)}: {left_alone:,} weights of {fewest:,} left"
        raise UserError(message, key="do_not_prune", found=found, expected="a lower sparsity, or fewer layers")
    if pruning.score == "magnitude_gradient" and schedule.events and schedule.start_step == 0:
        found = "magnitude_gradient, first event at step 0"
        expected = "a later start, or another score"
        raise UserError("no gradient before the first update", key="score", found=found, expected=expected)
    if not schedule.returns:
        for key, value, usual in (("choose", pruning.choose, "random"), ("fill", pruning.fill, "zero")):
            if value != usual:
                found = f"{value}, and a number of weights that never rises"
                expected = f"{usual}, or `mirror`, `moves` or a shape that rises"
                raise UserError("no weights come back", key=key, found=found, expected=expected)
    if pruning.n_of_m is not None and schedule.events:
        n, m = pruning.n_of_m
        if pruning.moves is not None or pruning.distribution == "erdos_renyi":
            message = "a structure that fixes the density of every tensor, and which weights of a group stay"
            found = f"{pruning.structure} with {'moves' if pruning.moves else pruning.distribution}"
            raise UserError(message, key="structure", found=found, expected="unstructured")
        for name, width in (("d_model", shape.d_model), ("mlp", shape.mlp)):
            if width % m:
                message = "rows that can't be divided into groups"
                found = f"{pruning.structure} with {name} {width}"
                raise UserError(message, key="structure", found=found, expected=f"{name} a multiple of {m}")
        exact = left_alone + (shape.prunable - left_alone) // m * n
        if fewest != exact:
            # Rounded down to the schedule's twelve digits, so that exactly these weights are left.
            fits = (shape.prunable - exact) * 10**12 // shape.prunable / 10**12
            found = f"{pruning.sparsity} leaves {fewest:,} weights"
            expected = f"{fits!r}, at which {pruning.structure} leaves {exact:,}"
            raise UserError("structure and sparsity disagree", key="sparsity", found=found, expected=expected)


def check_surgery(model: ModelSpec, pruning: PruningSpec, surgery: SurgerySpec, before: ModelSpec) -> None:
    """Checks that a run has the model that surgery leaves of the one before, and holds its zeros.

    Raises:
        UserError: another model, masks of other weights, or calibration rows longer than those of the text.
    """
    check_model(model, surgery.model_after(before), "another model than the surgery leaves", surgery.method)
    text = surgery.calibration
    if text is not None and (text.tokens or 0) > model.sequence:
        message = "calibration rows longer than the model's sequence"
        expected = f"at most {model.sequence}"
        raise UserError(message, key="start.surgery.calibration.tokens", found=text.tokens, expected=expected)
    wanted = surgery.masks(before)
    if wanted.sparsity and pruning != wanted:
        message = "a run that doesn't keep the zeros of its surgery"
        found = f"{pruning.shape}, sparsity {pruning.sparsity}"
        expected = f"constant, sparsity {wanted.sparsity!r}, structure {wanted.structure}, scope {list(wanted.scope)}"
        raise UserError(message, key="pruning", found=found, expected=expected)


def check_model(model: ModelSpec, other: ModelSpec, message: str, where: str) -> None:
    """Raises UserError with the dimensions in which two models differ."""
    names = [one.name for one in fields(ModelSpec)]
    if differ := [name for name in names if getattr(model, name) != getattr(other, name)]:
        found = f"{where}, with {', '.join(f'{n} {getattr(other, n)}' for n in differ)}"
        expected = f"one with {', '.join(f'{n} {getattr(model, n)}' for n in differ)}"
        raise UserError(message, key="start.run", found=found, expected=expected)


def _in_scope(shape: ladder.Shape, pruning: PruningSpec) -> int:
    """The weights that pruning may remove. Raises UserError if part of the scope has none."""
    if not pruning.scope:
        return shape.prunable - sum(shape.linears[name] for name in pruning.do_not_prune)
    sizes = linear_weights(shape)
    for part in pruning.scope:
        if not any(replace(pruning, scope=(part,)).prunes(name) for name in sizes):
            expected = f"consecutive parts of a name such as {next(iter(sizes)).removesuffix('.weight')}"
            raise UserError("no such part of the model", key="scope", found=part, expected=expected)
    return sum(size for name, size in sizes.items() if pruning.prunes(name))
