"""The calibration engine: blocks are replayed in order on calibration text, with the memory of one block at a time.

Computations run on a model of one block in fp32. The inputs of its block are captured with their keyword arguments by a hook, so
that whatever transformers passes to a block (rotary embeddings, a mask) is passed on; the weights of one block after another
are then copied into it. A caller decides which weights: with the pruned ones of the earlier blocks, each block is judged on
the inputs that it will have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from repro.errors import UserError
from repro.models.family import network, shapes_of
from repro.models.names import SITES, prefix
from repro.surgery.net import Net, check_finite
from repro.training.loss import Head
from repro.training.model import config_of

TOKENS = 4096  # tokens of a forward pass, at least one sequence
Progress = Callable[[str], object] | None  # called with lines of progress
States = list[torch.Tensor]  # hidden states of all sequences, (sequences of a pass, T, d) for each pass


class _Captured(Exception):
    """Ends a forward pass at its first block."""


class Replay:
    """Replays a model's blocks on calibration text.

    Args:
        net: the model; its own blocks are used where no others are given.
        tokens: (sequences, T) int64.

    Attributes:
        inputs: hidden states that enter block 0.

    Raises:
        UserError: tokens outside the model's vocabulary, or longer sequences than its context.
    """

    def __init__(self, net: Net, tokens: torch.Tensor):
        _check_tokens(net, tokens)
        self.net, self.tokens = net, tokens
        one = replace(net.spec, layers=1)
        weights = {name: net.weights[name].float() for name in shapes_of(one)}
        own = {name: weight.clone() for name, weight in weights.items() if name.startswith(prefix(0))}  # written over
        self._stage: Any = network(config_of(one), weights | own).requires_grad_(False)
        self._block: nn.Module = self._stage.model.layers[0]
        self._passes = tokens.split(max(1, TOKENS // tokens.shape[1]))
        captured = [self._capture(rows) for rows in self._passes]
        self.inputs: States = [hidden for hidden, _ in captured]
        self._arguments = [arguments for _, arguments in captured]
        with torch.device("meta"):
            self._head = Head(net.spec.d_model, net.spec.vocab)
        self._head.weight = self._stage.lm_head.weight

    def block(self, index: int, weights: Mapping[str, torch.Tensor] | None = None) -> nn.Module:
        """Puts a block on the stage, in the place of the one that was there.

        Args:
            weights: its parameters by their names in the block; None: the net's.
        """
        self._block.load_state_dict(self.net.block(index) if weights is None else weights)
        self._index = index
        return self._block

    def forward(self, states: States) -> States:
        """What the block on the stage makes of hidden states."""
        with torch.no_grad():
            return [self.one_pass(i, hidden) for i, hidden in enumerate(states)]

    def one_pass(self, index: int, hidden: torch.Tensor) -> torch.Tensor:
        """What the block on the stage makes of the hidden states of one pass, with a gradient where one is asked for."""
        out = self._block(hidden, **self._arguments[index])
        check_finite(out.detach(), self.net.file, f"{prefix(self._index)[:-1]} (its outputs on the calibration text)")
        return out

    def observe(self, states: States, see: Callable[[str, torch.Tensor], None]) -> States:
        """As `forward`; `see` gets a site (see names.SITES) and the inputs of its linear layers, (tokens, inputs), pass by pass."""

        def hook(site: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
            return lambda _, inputs: see(site, inputs[0].flatten(0, -2))

        with ExitStack() as hooks:
            for site in SITES:
                hooks.enter_context(self._block.get_submodule(site).register_forward_pre_hook(hook(site)))
            return self.forward(states)

    def losses(self, index: int, hidden: torch.Tensor) -> torch.Tensor:
        """The sum of the losses of one pass in nats, of the last block's outputs; has a gradient where one is asked for."""
        total, _ = self._head(self._stage.model.norm(hidden)[:, :-1], self._passes[index][:, 1:])
        check_finite(total.detach(), self.net.file, "loss on the calibration text")
        return total

    def mean_loss(self, states: States) -> float:
        """Mean loss in nats a predicted token, of the last block's outputs."""
        with torch.no_grad():
            total = sum(float(self.losses(i, hidden)) for i, hidden in enumerate(states))
        return total / self.predicted

    @property
    def predicted(self) -> int:
        """Predicted tokens: all but the first of each sequence."""
        return self.tokens.shape[0] * (self.tokens.shape[1] - 1)

    def boundaries(self) -> list[States]:
        """Hidden states before each block, and after the last: layers + 1 of them, which are held at once."""
        found = [self.inputs]
        for index in range(self.net.spec.layers):
            self.block(index)
            found.append(self.forward(found[-1]))
        return found

    def _capture(self, rows: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
        found: list[tuple[torch.Tensor, dict[str, Any]]] = []

        def hook(_: nn.Module, args: tuple[torch.Tensor, ...], kwargs: dict[str, Any]) -> None:
            found.append((args[0], kwargs))
            raise _Captured

        with self._block.register_forward_pre_hook(hook, with_kwargs=True), torch.no_grad(), suppress(_Captured):
            self._stage.model(input_ids=rows, use_cache=False)
        [captured] = found
        return captured


def mean_loss(net: Net, tokens: torch.Tensor, progress: Progress = None) -> float:
    """A model's mean loss on sequences, (sequences, T), in nats a predicted token."""
    replay = Replay(net, tokens)
    states = replay.inputs
    for index in range(net.spec.layers):
        replay.block(index)
        states = replay.forward(states)
        if progress:
            progress(f"block {index + 1} of {net.spec.layers}")
    return replay.mean_loss(states)


def _check_tokens(net: Net, tokens: torch.Tensor) -> None:
    if tokens.shape[1] > net.spec.sequence:
        message = "calibration sequences longer than the model's context"
        found = tokens.shape[1]
        raise UserError(message, file=net.file, key="length", found=found, expected=f"at most {net.spec.sequence}")
    if (most := int(tokens.max())) >= net.spec.vocab or int(tokens.min()) < 0:
        message = "tokens outside the model's vocabulary"
        expected = f"ids below {net.spec.vocab}: the text must be tokenized by the model's own tokenizer"
        raise UserError(message, file=net.file, key="vocab", found=most, expected=expected)


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
