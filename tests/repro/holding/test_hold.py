"""`hold` in one process: any optimizer, any gradient, and what can't be held is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM

from repro.errors import UserError
from repro.holding import hold, masks_of
from repro.holding.hold import MaskBrokenError
from tests.repro.holding.training import CONFIG, batches, exact, pruned, run_page, weights


class Restless(torch.optim.Optimizer):
    """Moves every weight in every update, whatever its gradient."""

    def __init__(self, parameters: Any):
        super().__init__(parameters, {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(0.01)


def update(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for batch in batches():
        model(batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1),
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
        Restless,
    ],
    ids=["adamw", "sgd", "restless"],
)
def test_masks_stay_exact_for_every_optimizer_and_break_without(make: Callable[[Any], torch.optim.Optimizer]) -> None:
    model = pruned()
    masks = masks_of(model)
    assert set(masks) == {name for name, _ in model.named_parameters() if "proj" in name}
    optimizer = make(model.parameters())
    held = hold(model, optimizer, masks)
    update(model, optimizer)
    assert exact(weights(model))
    assert held.check() == held.removed == sum(int((~mask).sum()) for mask in masks.values()) > 0
    held.release()
    update(model, optimizer)
    with pytest.raises(MaskBrokenError, match="not zero"):
        held.check()


def test_a_dense_model_gets_its_masks_with_moments_and_gradients() -> None:
    model, masks = pruned(), masks_of(pruned())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    update(model, optimizer)  # fills up
    model(batches()[0], labels=batches()[0]).loss.backward()
    hold(model, optimizer, masks).check()
    for name, parameter in model.named_parameters():
        if name in masks:
            state = optimizer.state[parameter]
            for tensor in (parameter, parameter.grad, state["exp_avg"], state["exp_avg_sq"]):
                assert tensor is not None
                assert not tensor[~masks[name]].any()
                assert tensor[masks[name]].any()


def test_the_gradients_norm_is_that_of_the_weights_that_stay() -> None:
    model = pruned()
    masks = masks_of(model)
    batch = batches()[0]
    model(batch, labels=batch).loss.backward()
    squares = 0.0
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        squares += float((parameter.grad * masks.get(name, torch.tensor(True))).square().sum())
    model.zero_grad()
    hold(model, torch.optim.AdamW(model.parameters()), masks)
    model(batch, labels=batch).loss.backward()
    assert float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)) == pytest.approx(squares**0.5, rel=1e-5)


def test_masks_are_those_of_an_exported_folder_and_go_by_either_name_of_a_tied_matrix(tmp_path: Path) -> None:
    model = pruned()
    model.save_pretrained(tmp_path / "model")
    found, own = masks_of(tmp_path / "model"), masks_of(model)
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], own[name]) for name in own)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = 0
    tied = {"lm_head.weight": model.lm_head.weight != 0}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert hold(model, optimizer, tied).removed == 1
    update(model, optimizer)
    assert int((model.model.embed_tokens.weight == 0).sum()) == 1


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ({"model.layers.9.mlp.up_proj.weight": torch.ones(1)}, "a mask for a parameter that the model doesn't have"),
        ({"model.norm.weight": torch.ones(16)}, "a mask that doesn't fit"),
        ({"model.norm.weight": torch.ones(4, 4, dtype=torch.bool)}, "a mask that doesn't fit"),
    ],
)
def test_what_can_not_be_held_is_refused(masks: dict[str, torch.Tensor], said: str) -> None:
    model = pruned()
    with pytest.raises(UserError, match=said):
        hold(model, torch.optim.SGD(model.parameters()), masks)
    with pytest.raises(UserError, match="not a torch optimizer"):
        hold(model, None, {})
    with pytest.raises(UserError, match="no masks"):
        hold(model, torch.optim.SGD(model.parameters()), masks_of(LlamaForCausalLM(CONFIG)))


def test_the_page_for_plain_pytorch_runs() -> None:
    model = pruned()
    run_page("Plain PyTorch, and DDP", model=model, optimizer=torch.optim.AdamW(model.parameters(), lr=1e-2))
    assert exact(weights(model))
