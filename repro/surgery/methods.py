"""`prune`, which applies a method of the catalogue to a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from repro.models.folder import ModelFolder
from repro.spec import ModelSpec
from repro.surgery import depth, width
from repro.surgery.amounts import blocks_at, check_rate, groups_at, weights_at, width_at
from repro.surgery.calibration_set import CalibrationSet
from repro.surgery.catalogue import check_text, taking
from repro.surgery.groups import with_width, without_blocks
from repro.surgery.net import Net, net_of
from repro.surgery.oneshot import one_shot
from repro.surgery.record import SurgeryRecord, counts
from repro.surgery.spill import Keep

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Pruned:
    """A pruned model, with the record of its surgery."""

    net: Net
    record: SurgeryRecord

    @property
    def spec(self) -> ModelSpec:
        return self.net.spec

    @property
    def weights(self) -> Mapping[str, torch.Tensor]:
        return self.net.weights


def prune(
    model: str | Path | ModelFolder | Net | Any,
    method: str,
    rate: float | None,
    *,
    structure: str | None = None,
    text: CalibrationSet | None = None,
    seed: int = 0,
    protect: tuple[int, int] | None = None,
    groups: int | None = None,
    progress: Progress | None = None,
    keep: Keep = dict,
) -> Pruned:
    """Prunes a model of the Llama family; the model itself stays as it is.

    Args:
        model: a folder, a Hugging Face id, an open folder, a transformers model or a Net.
        method: a key of catalogue.METHODS.
        rate: the share of all parameters to remove; 0 removes nothing. None only with N:M: all blocks.
        structure: "unstructured" (None) or "N:M", of methods that remove single weights.
        text: calibration set of methods that need one, unless the rate is 0.
        seed: of random methods.
        protect: how many of the first and of the last blocks depth methods leave; None: depth.usual_protection of
            depth-taylor, none of others.
        groups: groups of heads that width methods remove from every block; None: as amounts.width_at chooses.
        progress: called with lines of progress.
        keep: where the new weights of one block after another are kept; see spill.Spill. By default in memory.

    Raises:
        UserError: an unknown method, an option that it doesn't take, a rate that the model doesn't allow, missing text, or a
            model that can't be pruned.
    """
    chosen = taking(method, structure=structure, protect=protect, groups=groups)
    check_text(method, text is not None or rate == 0)
    n_of_m = check_rate(rate, structure)
    net = net_of(model)
    pruning = _Pruning(net, method, rate, text if chosen.text else None, seed, progress, keep)
    if rate == 0:
        result, removed, settings, zeros = net, {}, {}, 0
    elif chosen.removes == "blocks":
        result, removed, settings, zeros = *pruning.blocks(protect), 0
    elif chosen.removes == "width":
        result, removed, settings, zeros = *pruning.width(groups), 0
    else:
        result, removed, zeros = pruning.weights(n_of_m)
        settings = {}
    record = SurgeryRecord(
        method=method,
        structure=(structure or "unstructured") if chosen.structures else None,
        rate=rate,
        seed=seed if chosen.seeded else None,
        calibration=text.to_dict() if chosen.text and text is not None else None,
        removed=removed,
        settings=settings,
        **counts(net.spec.shape, result.spec.shape, zeros),
    )
    return Pruned(result, record)


@dataclass(frozen=True)
class _Pruning:
    """One model, method and rate above 0, with what is needed to apply them."""

    net: Net
    method: str
    rate: float | None
    text: CalibrationSet | None
    seed: int
    progress: Progress | None
    keep: Keep

    @property
    def tokens(self) -> torch.Tensor:
        assert self.text is not None
        return self.text.tokens

    def blocks(self, protect: tuple[int, int] | None) -> tuple[Net, dict[str, Any], dict[str, Any]]:
        """The model without blocks, which ones, and the settings."""
        assert self.rate is not None
        net, count = self.net, blocks_at(self.net.spec, self.rate)
        if protect is None:
            protect = depth.usual_protection(net.spec.layers) if self.method == "depth-taylor" else (0, 0)
        if self.method == "depth-window":
            [first] = depth.lowest_blocks(depth.window_turn(net, self.tokens, count), 1, protect)
            gone = list(range(first, first + count))
        else:
            gone = depth.lowest_blocks(self._block_scores(), count, protect)
        return without_blocks(net, gone), {"blocks": gone}, {"protect": list(protect)}

    def _block_scores(self) -> torch.Tensor:
        if self.method == "random-depth":
            return width.random_scores(self.net.spec.layers, self.seed)
        if self.method == "depth-influence":
            return depth.influence(self.net, self.tokens)
        score = {"depth-ppl": depth.loss_without, "depth-taylor": depth.taylor}[self.method]
        return score(self.net, self.tokens, self.progress)

    def width(self, groups: int | None) -> tuple[Net, dict[str, Any], dict[str, Any]]:
        """The narrower model, what every block has lost, and the settings."""
        assert self.rate is not None
        net = self.net
        left = width_at(net.spec, self.rate, groups)
        if self.method == "width-taylor":
            kept = width.by_taylor(net, self.tokens, *left, progress=self.progress)
        elif self.method == "width-wanda":
            kept = width.by_wanda(net, self.tokens, *left, progress=self.progress)
        else:
            kept = width.at_random(net.spec, self.seed, *left)
        removed = {
            "groups": [_others(one.groups, net.spec.shape.kv) for one in kept],
            "channels": [_others(one.channels, net.spec.mlp) for one in kept],
        }
        return with_width(net, kept, self.keep), removed, {"groups": net.spec.shape.kv - left[0]}

    def weights(self, n_of_m: tuple[int, int] | None) -> tuple[Net, dict[str, Any], int]:
        """The model with zeros, how many in each parameter, and in all."""
        spec = self.net.spec
        if n_of_m is None:
            assert self.rate is not None
            removed = weights_at(spec, self.rate)
        else:
            removed = groups_at(spec, n_of_m, self.rate)
        tokens = None if self.text is None else self.text.tokens
        result = one_shot(self.net, self.method, removed, tokens, n_of_m, self.progress, self.keep)
        return result, {"weights": removed}, sum(removed.values())


def _others(kept: tuple[int, ...], count: int) -> list[int]:
    return sorted(set(range(count)) - set(kept))
