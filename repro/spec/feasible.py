"""Checks that a model can be pruned as specified."""

from __future__ import annotations

from dataclasses import replace

from repro import ladder
from repro.errors import UserError
from repro.models.names import linear_weights
from repro.schedule import PruningSchedule
from repro.spec.training import PruningSpec


def check_pruning(size: str, shape: ladder.Shape, pruning: PruningSpec, schedule: PruningSchedule) -> None:
    """Checks that a model of this shape, labelled `size`, can be pruned with this schedule.

    Raises:
        UserError: an unknown layer, no weights left for the pruned layers, a score without its gradient, or a
            structure that the widths or the sparsity don't allow.
    """
    if unknown := set(pruning.do_not_prune) - set(shape.linears):
        raise UserError(
            "no such linear layer",
            key="do_not_prune",
            found=", ".join(sorted(unknown)),
            expected=f"some of: {', '.join(shape.linears)}",
        )
    left_alone = shape.prunable - _in_scope(shape, pruning)
    final = schedule.n_final(shape.prunable)
    if left_alone and left_alone >= final:
        raise UserError(
            f"the unpruned layers leave no weights for the others, in {size} at sparsity {pruning.sparsity:g}",
            key="do_not_prune",
            found=f"{', '.join(pruning.do_not_prune)}: {left_alone:,} weights of {final:,} left",
            expected="a lower sparsity, or fewer layers",
        )
    if pruning.score == "magnitude_gradient" and schedule.events and schedule.start_step == 0:
        raise UserError(
            "no gradient before the first update",
            key="score",
            found="magnitude_gradient, first event at step 0",
            expected="a later start, or another score",
        )
    if pruning.n_of_m is not None and schedule.events:
        n, m = pruning.n_of_m
        for name, width in (("d_model", shape.d_model), ("mlp", shape.mlp)):
            if width % m:
                raise UserError(
                    "rows don't divide into groups",
                    key="structure",
                    found=f"{pruning.structure} with {name} {width}",
                    expected=f"{name} a multiple of {m}",
                )
        exact = left_alone + (shape.prunable - left_alone) // m * n
        if final != exact:
            # Rounded down to the schedule's twelve digits, so that exactly these weights are left.
            fits = (shape.prunable - exact) * 10**12 // shape.prunable / 10**12
            raise UserError(
                "structure and sparsity disagree",
                key="sparsity",
                found=f"{pruning.sparsity} leaves {final:,} weights",
                expected=f"{fits!r}, at which {pruning.structure} leaves {exact:,}",
            )


def _in_scope(shape: ladder.Shape, pruning: PruningSpec) -> int:
    """The weights that pruning may remove. Raises UserError if part of the scope has none."""
    if not pruning.scope:
        return shape.prunable - sum(shape.linears[name] for name in pruning.do_not_prune)
    sizes = linear_weights(shape)
    for part in pruning.scope:
        if not any(replace(pruning, scope=(part,)).prunes(name) for name in sizes):
            raise UserError(
                "no such part of the model",
                key="scope",
                found=part,
                expected=f"neighbouring words of a name such as {next(iter(sizes)).removesuffix('.weight')}",
            )
    return sum(size for name, size in sizes.items() if pruning.prunes(name))
