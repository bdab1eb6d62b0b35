"""`prune`, which applies a method of the catalogue to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from repro.models.folder import ModelFolder
from repro.surgery import depth, width
from repro.surgery.amounts import blocks_at, check_rate, counts, rates, width_at, zeros_at
from repro.surgery.calibrate import Progress
from repro.surgery.calibration_set import CalibrationSet
from repro.surgery.catalogue import check_text, taking
from repro.surgery.net import Keep, Made, Net, net_of
from repro.surgery.oneshot import one_shot
from repro.surgery.width import KeptWidth, with_width


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
    progress: Progress = None,
    keep: Keep = dict,
) -> Made:
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

    Returns:
        The smaller model. Its record has the method, its structure (null of what removes whole parts), the asked rate, the
        seed (null of methods that don't draw), `record.counts`, the calibration set, what is removed ("blocks"; "groups" and
        "channels" of each block; or numbers of "weights" by parameter), the settings and `record.rates`.

    Raises:
        UserError: an unknown method, an option that it doesn't take, a rate that the model doesn't allow, missing text, or a
            model that can't be pruned.
    """
    chosen = taking(method, structure=structure, protect=protect, groups=groups)
    check_text(method, text is not None or rate == 0)
    n_of_m = check_rate(rate, structure)
    net = net_of(model)
    tokens = text.tokens if chosen.text and text is not None else None
    result, zeros = net, 0
    removed: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    if rate == 0:
        pass
    elif chosen.removes == "weights":
        removed["weights"] = zeros_at(net.spec, rate, structure)
        result = one_shot(net, method, removed["weights"], tokens, n_of_m, progress, keep)
        zeros = sum(removed["weights"].values())
    elif rate is not None and chosen.removes == "blocks":
        if protect is None:
            protect = depth.usual_protection(net.spec.layers) if method == "depth-taylor" else (0, 0)
        settings["protect"] = list(protect)
        removed["blocks"] = _blocks(net, method, blocks_at(net.spec, rate), tokens, seed, protect, progress)
        result = depth.without_blocks(net, removed["blocks"])
    elif rate is not None:
        left = width_at(net.spec, rate, groups)
        kept = _widths(net, method, left, tokens, seed, progress)
        settings["groups"] = net.spec.shape.kv - left[0]
        removed["groups"] = [_others(one.groups, net.spec.shape.kv) for one in kept]
        removed["channels"] = [_others(one.channels, net.spec.mlp) for one in kept]
        result = with_width(net, kept, keep)
    counted = counts(net.spec.shape, result.spec.shape, zeros)
    record = {
        "method": method,
        "structure": (structure or "unstructured") if chosen.structures else None,
        "rate": rate,
        "seed": seed if chosen.seeded else None,
        **counted,
        "calibration": text.to_dict() if chosen.text and text is not None else None,
        "removed": removed,
        "settings": settings,
        **rates(counted),
    }
    return Made(result, record)


def _blocks(
    net: Net,
    method: str,
    count: int,
    tokens: torch.Tensor | None,
    seed: int,
    protect: tuple[int, int],
    progress: Progress,
) -> list[int]:
    """The blocks to remove, ascending."""
    if method == "random-depth":
        return depth.lowest_blocks(width.random_scores(net.spec.layers, seed), count, protect)
    assert tokens is not None
    if method == "depth-window":
        [first] = depth.lowest_blocks(depth.turn(net, tokens, count), 1, protect)
        return list(range(first, first + count))
    if method == "depth-influence":
        return depth.lowest_blocks(depth.turn(net, tokens, 1), count, protect)
    score = {"depth-ppl": depth.loss_without, "depth-taylor": depth.taylor}[method]
    return depth.lowest_blocks(score(net, tokens, progress), count, protect)


def _widths(
    net: Net, method: str, left: tuple[int, int], tokens: torch.Tensor | None, seed: int, progress: Progress
) -> list[KeptWidth]:
    """What each block keeps."""
    if method == "random-width":
        return width.at_random(net.spec, seed, *left)
    assert tokens is not None
    choose = width.by_taylor if method == "width-taylor" else width.by_wanda
    return choose(net, tokens, *left, progress)


def _others(kept: tuple[int, ...], count: int) -> list[int]:
    return sorted(set(range(count)) - set(kept))
