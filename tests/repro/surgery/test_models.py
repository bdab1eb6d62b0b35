"""A pruned model, loaded by plain transformers, computes what the original does with that part left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from repro.models.names import LINEARS, prefix
from repro.spec import ModelSpec
from repro.surgery.amounts import channel_params, group_params
from repro.surgery.catalogue import METHODS
from repro.surgery.depth import without_blocks
from repro.surgery.methods import prune
from repro.surgery.net import Net, net_of
from repro.surgery.width import KeptWidth, columns_of, with_width
from tests.repro.surgery.nets import MEMBERS, calibration, close, logits, random_net

every_member = pytest.mark.parametrize("spec", MEMBERS.values(), ids=MEMBERS)
TOKENS = calibration(sequences=3, length=16, seed=9).tokens


def loaded(net: Net, folder: Path) -> Any:
    """The model as transformers loads it from a folder, with every weight there."""
    net.network().save_pretrained(folder)
    found: Any = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    model, said = found
    assert not said["missing_keys"]
    assert not said["unexpected_keys"]
    assert not said["mismatched_keys"]
    assert sum(parameter.numel() for parameter in model.parameters()) == net.spec.shape.total
    return model.eval()


def of_folder(net: Net, folder: Path) -> torch.Tensor:
    with torch.no_grad():
        return loaded(net, folder)(TOKENS).logits


def skipping(net: Net, blocks: list[int]) -> torch.Tensor:
    """Logits of the original, with what some blocks do replaced by nothing."""
    model = net.network()
    for index in blocks:
        model.model.layers[index].register_forward_hook(lambda _, args, __: args[0])
    with torch.no_grad():
        return model(TOKENS).logits


def zeroing(net: Net, kept: list[KeptWidth]) -> torch.Tensor:
    """Logits of the original, with zeros for what reads the groups and channels that go."""
    weights = dict(net.weights)
    for index, one in enumerate(kept):
        for name, columns in columns_of(net.spec, one).items():
            key = f"{prefix(index)}{LINEARS[name]}.weight"
            zeroed = torch.zeros_like(weights[key])
            zeroed[:, columns] = weights[key][:, columns]
            weights[key] = zeroed
    return logits(replace(net, weights=weights), TOKENS)


@every_member
def test_a_model_survives_its_folder(spec: ModelSpec, tmp_path: Path) -> None:
    net = random_net(spec)
    loaded(net, tmp_path)
    again = net_of(str(tmp_path))
    assert again.spec == spec
    assert all(torch.equal(again.weights[name], weight) for name, weight in net.weights.items())


@every_member
@pytest.mark.parametrize("removed", [[0], [1, 3]])
def test_blocks_removed_are_blocks_skipped(spec: ModelSpec, removed: list[int], tmp_path: Path) -> None:
    net = random_net(spec)
    shorter = without_blocks(net, removed)
    assert shorter.spec.shape.total == net.spec.shape.total - len(removed) * net.spec.shape.per_block
    close(of_folder(shorter, tmp_path), skipping(net, removed))


@every_member
def test_groups_and_channels_sliced_are_groups_and_channels_zeroed(spec: ModelSpec, tmp_path: Path) -> None:
    net, kv = random_net(spec), spec.shape.kv
    kept = [KeptWidth(tuple(sorted({i % kv, (i + 1) % kv}))[: kv // 2], tuple(range(i, 40 + i))) for i in range(4)]
    narrow = with_width(net, kept)
    lost = 4 * (kv - kv // 2) * group_params(spec) + 4 * 8 * channel_params(spec)
    assert narrow.spec.shape.total == spec.shape.total - lost
    close(of_folder(narrow, tmp_path), zeroing(net, kept))


@every_member
@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if one.removes != "weights"])
def test_every_structured_method_gives_the_original_without_what_its_record_names(
    spec: ModelSpec, method: str, tmp_path: Path
) -> None:
    net = random_net(spec)
    made = prune(net, method, 0.3, text=calibration(spec), seed=4)
    assert made.record["params_after"] == made.net.spec.shape.total == sum(w.numel() for w in made.net.weights.values())
    found = of_folder(made.net, tmp_path)
    if METHODS[method].removes == "blocks":
        close(found, skipping(net, made.record["removed"]["blocks"]))
        return
    kept = [
        KeptWidth(*(tuple(sorted(set(range(n)) - set(gone))) for n, gone in zip((spec.shape.kv, 48), one, strict=True)))
        for one in zip(made.record["removed"]["groups"], made.record["removed"]["channels"], strict=True)
    ]
    close(found, zeroing(net, kept))
