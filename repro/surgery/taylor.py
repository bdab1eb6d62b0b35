"""Gradients of the calibration loss, one block at a time, from the last to the first."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from repro.models.names import prefix
from repro.surgery.calibrate import Progress, Replay
from repro.surgery.net import Net, check_finite


def gradients(
    net: Net, tokens: torch.Tensor, progress: Progress = None
) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """(block, gradients of the mean loss by the block's parameters, fp32 by name), from the last block to the first.

    Hidden states between all blocks are held at once; weights and gradients of one block. tokens: (sequences, T) int64.
    """
    replay = Replay(net, tokens)
    states = replay.boundaries()
    slopes = []
    for i, hidden in enumerate(states.pop()):
        hidden.requires_grad_()
        (replay.losses(i, hidden) / replay.predicted).backward()
        slopes.append(_slope(hidden))
    for index in reversed(range(net.spec.layers)):
        parameters = dict(replay.block(index).named_parameters())
        for parameter in parameters.values():
            parameter.requires_grad_()
            parameter.grad = None
        for i, hidden in enumerate(states.pop()):
            hidden = hidden.detach().requires_grad_()
            replay.one_pass(i, hidden).backward(slopes[i])
            slopes[i] = _slope(hidden)
        found = {name: _slope(parameter) for name, parameter in parameters.items()}
        for name, slope in found.items():
            check_finite(slope, net.file, f"{prefix(index)}{name} (its gradient)")
        if progress:
            progress(f"gradients of block {index + 1} of {net.spec.layers}")
        yield index, found


def importance(
    net: Net, tokens: torch.Tensor, progress: Progress = None
) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """(block, |w g| by the block's parameters): the first-order change of the mean loss where a weight becomes zero."""
    for index, found in gradients(net, tokens, progress):
        weights = net.block(index)
        yield index, {name: (weights[name].float() * slope).abs() for name, slope in found.items()}


def _slope(tensor: torch.Tensor) -> torch.Tensor:
    assert tensor.grad is not None
    return tensor.grad
