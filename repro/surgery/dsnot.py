"""DSnoT (arXiv 2310.08915): a mask is improved without training, by swaps within each row.

Removed weights change a row's mean output by e = the sum of w_j mu_j over them, mu the means of the inputs. A swap returns
the removed weight whose return lessens |e| with the largest |w mu| / variance, and removes instead, of the kept weights whose
removal lessens |e| as well, the one with the lowest Wanda score. Two things are not as in the authors' code by default: swaps that
would turn the sign of e end their row, so that |e| never rises, and layers of the mlp take part.
"""

from __future__ import annotations

import torch

from repro.surgery.moments import Moments

SWAPS = 50  # of a row at most
CLOSE = 0.1  # |e| at which a row is done
_LEAST_VARIANCE = 1e-12


def improved(
    weight: torch.Tensor,
    removed: torch.Tensor,
    seen: Moments,
    n_of_m: tuple[int, int] | None = None,
    swaps: int = SWAPS,
) -> torch.Tensor:
    """A mask with as many removed weights in each row (of N:M, in each group), bool, (outputs, inputs).

    Args:
        weight, removed: before pruning, and the mask to begin with, (outputs, inputs).
        n_of_m: structure of the mask; swaps stay within groups.
    """
    exact, removed = weight.double(), removed.clone()
    effects, wanda = exact * seen.mean, seen.wanda(exact)
    gains = effects / seen.variance.clamp_min(_LEAST_VARIANCE)
    columns = exact.shape[1]
    group = columns if n_of_m is None else n_of_m[1]
    off = change(exact, removed, seen)
    active = off.abs() > CLOSE
    for _ in range(swaps):
        sign = off.sign().unsqueeze(1)
        droppable = ~removed & (sign * effects < 0)
        possible = droppable.view(-1, columns // group, group).any(-1).repeat_interleave(group, dim=1)
        gain = (sign * gains).masked_fill(~(removed & (sign * effects > 0) & possible), -torch.inf)
        back = gain.argmax(1, keepdim=True)
        active &= gain.gather(1, back).squeeze(1) > -torch.inf
        same_group = torch.arange(columns) // group == back // group
        score = wanda.masked_fill(~(droppable & same_group), torch.inf)
        gone = score.argmin(1, keepdim=True)
        then = off - effects.gather(1, back).squeeze(1) + effects.gather(1, gone).squeeze(1)
        active &= then * off >= 0
        if not bool(active.any()):
            break
        rows = active.nonzero().flatten()
        removed[rows, back[rows, 0]] = False
        removed[rows, gone[rows, 0]] = True
        off = torch.where(active, then, off)
        active &= off.abs() > CLOSE
    return removed


def change(weight: torch.Tensor, removed: torch.Tensor, seen: Moments) -> torch.Tensor:
    """By how much a mask lessens each row's mean output, (outputs,) float64."""
    return (weight.double() * seen.mean).masked_fill(~removed, 0).sum(1)
