"""A run's events in plain PyTorch on whole tensors, by sorting: what is removed, what returns, and with what."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import torch

from repro.pruning import scores
from repro.pruning.scores import drawn, key_of
from repro.spec import RunSpec
from repro.training import model

State = dict[str, torch.Tensor]


class PlainEvents:
    """Masks and weights of a run, (n,) each, between its events.

    Args:
        spec: the run; nothing is kept from pruning.
        weights: flat prunable weights by name, in the order of the model.
        shapes: their shapes.
    """

    def __init__(self, spec: RunSpec, weights: State, shapes: dict[str, torch.Size]):
        self.spec, self.weights, self.shapes = spec, weights, shapes
        self.masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights.items()}
        self.removed_at = {name: torch.zeros_like(w) for name, w in weights.items()}
        self.total = sum(w.numel() for w in weights.values())
        starts, first = {}, 0
        for name, w in weights.items():
            starts[name], first = torch.arange(first, first + w.numel()), first + w.numel()
        self.positions = starts

    def event(self, index: int, gradients: State) -> None:
        """Applies an event, at these dense gradients."""
        before = {name: mask.clone() for name, mask in self.masks.items()}
        how, schedule = self.spec.pruning, self.spec.schedule
        moved = schedule.moved(index, self.total)
        for names, target, move in self._groups(schedule.kept(index, self.total), moved):
            there = sum(int(self.masks[name].sum()) for name in names)
            stay = min(there, target - move)
            if stay < there:
                self._set(names, self._largest(names, self._scores(index, moved > 0), self.masks, stay))
            if target > stay:
                gone = {name: ~self.masks[name] for name in names}
                back = self._largest(names, self._returning(index, gradients), gone, target - stay)
                self._set(names, {name: self.masks[name] | back[name] for name in names})
        for name, mask in self.masks.items():
            self.weights[name] = self.weights[name] * mask
            self.removed_at[name][before[name] & ~mask] = index + 1
            new = mask & ~before[name]
            if how.fill == "draw":
                sd = model.spread(self.spec.model, name, self.shapes[name])
                number = scores.normal(
                    int(self.positions[name][0]), len(mask), key_of(self.spec.seed, index, "fill"), mask.device
                )
                self.weights[name] = torch.where(new, number * sd, self.weights[name])

    def _groups(self, kept: int, moved: int) -> Iterator[tuple[list[str], int, int]]:
        names = list(self.masks)
        if self.spec.pruning.distribution == "global":
            yield names, kept, moved
            return
        part = {
            n: sum(self.shapes[n]) if self.spec.pruning.distribution == "erdos_renyi" else len(self.masks[n])
            for n in names
        }
        full: set[str] = set()
        while True:  # what would be denser than dense is dense, and the others share the rest
            scale = Fraction(kept - sum(len(self.masks[n]) for n in full), sum(part[n] for n in names if n not in full))
            more = {n for n in names if n not in full and scale * part[n] > len(self.masks[n])}
            if not more:
                break
            full |= more
        exact = {n: Fraction(len(self.masks[n])) if n in full else scale * part[n] for n in names}
        there = {n: Fraction(int(self.masks[n].sum())) for n in names}
        share = Fraction(moved, kept)
        targets, moves = _rounded(exact, kept), _rounded({n: share * there[n] for n in names}, moved)
        for name in names:
            yield [name], targets[name], moves[name]

    def _scores(self, index: int, moving: bool) -> State:
        if moving or self.spec.pruning.score == "magnitude":
            return {name: w.abs().double() for name, w in self.weights.items()}
        assert self.spec.pruning.score == "random"
        key = (self.spec.seed + 1) * 0x632BE59BD9B4E019
        return {name: drawn(int(at[0]), len(at), key, at.device).double() for name, at in self.positions.items()}

    def _returning(self, index: int, gradients: State) -> State:
        how = self.spec.pruning
        choose = how.choose if how.moves is None else how.moves.return_
        if choose == "gradient":
            return {name: g.abs().double() for name, g in gradients.items()}
        if choose == "last":
            return {name: at.double() for name, at in self.removed_at.items()}
        if choose == "position":
            return {name: -at.double() for name, at in self.positions.items()}
        key = key_of(self.spec.seed, index, "return")
        return {name: drawn(int(at[0]), len(at), key, at.device).double() for name, at in self.positions.items()}

    def _largest(self, names: list[str], scores: State, among: State, count: int) -> State:
        score = torch.cat([torch.where(among[name], scores[name], -math.inf) for name in names])
        chosen = torch.zeros(len(score), dtype=torch.bool)
        chosen[score.sort(descending=True, stable=True).indices[:count]] = True
        return dict(zip(names, chosen.split([len(self.masks[name]) for name in names]), strict=True))

    def _set(self, names: list[str], masks: State) -> None:
        for name in names:
            self.masks[name] = masks[name]


def _rounded(exact: dict[str, Fraction], total: int) -> dict[str, int]:
    """By largest remainder, the first of equals."""
    found = {name: math.floor(share) for name, share in exact.items()}
    order = sorted(exact, key=lambda name: exact[name] - found[name], reverse=True)
    for name in order[: total - sum(found.values())]:
        found[name] += 1
    return found
