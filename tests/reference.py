"""The paper's rule in plain PyTorch, dense and slow, from its text alone (section 2 and the optimizer's constants)."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from repro.spec import RunSpec

State = dict[str, torch.Tensor]


def train(network: nn.Module, batches: list[torch.Tensor], spec: RunSpec) -> tuple[list[float], State]:
    """Trains for as many steps as there are batches. Returns the loss of each step, and the masks at the end.

    The forward pass multiplies weights by masks; the weights themselves stay what they are, removed or not. Weights that
    return by gradient, as written pieces or as RigL's moves, are set to 0.
    """
    weights: State = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
    linears = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    masks = {name: torch.ones_like(w, requires_grad=False) for name, w in weights.items() if name in linears}
    moments = [{name: torch.zeros_like(w, requires_grad=False) for name, w in weights.items()} for _ in range(2)]
    losses, events = [], range(spec.schedule.start_step, spec.schedule.end_step + 1, spec.schedule.interval)
    for step, rows in enumerate(batches):
        if spec.pruning.pieces or spec.pruning.moves:
            change(network, weights, masks, moments, rows, step, len(batches), spec)
        elif step in events:
            density = (1 - spec.pruning.sparsity) ** ((events.index(step) + 1) / len(events))
            prune(weights, masks, moments, density)
        loss, _ = loss_of(network, weights, masks, rows)
        gradients = torch.autograd.grad(loss, list(weights.values()))
        adamw(weights, dict(zip(weights, gradients, strict=True)), moments, step, len(batches), spec)
        losses.append(loss.item())
    return losses, masks


def loss_of(network: nn.Module, weights: State, masks: State, rows: torch.Tensor) -> tuple[torch.Tensor, State]:
    """The mean loss, and the masked weights with which it was computed."""
    forward = {name: w * masks[name] if name in masks else w for name, w in weights.items()}
    logits = torch.func.functional_call(network, forward, kwargs={"input_ids": rows[:, :-1]}).logits
    return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()), forward


def change(
    network: nn.Module,
    weights: State,
    masks: State,
    moments: list[State],
    rows: torch.Tensor,
    step: int,
    steps: int,
    spec: RunSpec,
) -> None:
    """One change of masks, if one is due: by written densities, or RigL's (Evci et al. 2020, algorithm 1), over all tensors.

    The smallest |w| go. Of what is not there then, with what has just gone, those with the largest |dense gradient| of the
    step's batch return; what was not there before begins at 0 with moments of 0, and what went and returned is left as it was.
    """
    size, moves = sum(mask.numel() for mask in masks.values()), spec.pruning.moves
    there = sum(int(mask.sum()) for mask in masks.values())
    if moves is None:
        density = {begin: density for begin, density in spec.pruning.pieces}.get(step)  # noqa: C416 (they aren't pairs to mypy)
        if density is None:
            return
        kept = math.floor(size * density + 1e-6)
        back = max(0, kept - there)
    elif step == 0:
        kept, back = math.floor(size * (1 - spec.pruning.sparsity) + 1e-6), 0
    elif step % moves.every == 0 and step < moves.until * steps:
        decayed = 0.5 * (1 + math.cos(math.pi * (step - moves.every) / (moves.until * steps - moves.every)))
        kept, back = there, math.floor(there * moves.share * decayed + 1e-6)
    else:
        return
    before = {name: mask.clone() for name, mask in masks.items()}
    loss, forward = loss_of(network, weights, masks, rows)
    dense = torch.autograd.grad(loss, [forward[name] for name in masks])
    prune(weights, masks, [], (kept - back) / size)
    scores = torch.cat([(g.abs() * (1 - m) - m).flatten() for g, m in zip(dense, masks.values(), strict=True)])
    chosen = torch.zeros_like(scores)
    chosen[scores.sort(descending=True, stable=True).indices[:back]] = 1
    for (name, mask), part in zip(masks.items(), chosen.split([m.numel() for m in masks.values()]), strict=True):
        mask += part.view(mask.shape)
        weights[name].data.mul_(1 - mask * (1 - before[name]))
        for moment in moments:
            moment[name].mul_(mask * before[name])


def prune(weights: State, masks: State, moments: list[State], density: float) -> None:
    """Keeps floor(N * density) weights: the first of one stable sort of |w * mask|, the largest first."""
    scores = torch.cat([(weights[name].detach() * mask).abs().flatten() for name, mask in masks.items()])
    keep = torch.zeros_like(scores)
    keep[scores.sort(descending=True, stable=True).indices[: math.floor(len(scores) * density + 1e-6)]] = 1
    for (name, mask), part in zip(masks.items(), keep.split([m.numel() for m in masks.values()]), strict=True):
        for tensor in (mask, *(moment[name] for moment in moments)):
            tensor.mul_(part.view(mask.shape))


def adamw(weights: State, gradients: State, moments: list[State], step: int, steps: int, spec: RunSpec) -> None:
    """One update: gradients clipped to a global norm, decay on all, warm-up and then a cosine to the final rate."""
    o, warm = spec.optimizer, int(spec.optimizer.warmup * steps)
    cosine = 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
    lr = o.lr * (step / warm if step < warm else o.final_lr + (1 - o.final_lr) * cosine)
    scale = min(1.0, o.clip / (math.sqrt(sum(float(g.double().square().sum()) for g in gradients.values())) + 1e-6))
    for name, w in weights.items():
        first, second = (moment[name] for moment in moments)
        first.mul_(o.beta1).add_(gradients[name] * scale, alpha=1 - o.beta1)
        second.mul_(o.beta2).add_((gradients[name] * scale).square(), alpha=1 - o.beta2)
        root = (second / (1 - o.beta2 ** (step + 1))).sqrt() + o.eps
        w.data.mul_(1 - lr * o.weight_decay).sub_(lr * (first / (1 - o.beta1 ** (step + 1))) / root)
