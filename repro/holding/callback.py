"""HoldMasks: a callback that keeps masks exact in transformers' Trainer, whatever accelerate wraps the model in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import TrainerCallback

from repro.holding.hold import HeldMasks, hold


class HoldMasks(TrainerCallback):
    """Holds masks while a transformers Trainer trains, and checks them to the bit at each save and at the end.

    Args:
        masks: bool tensors by parameter, true where a weight stays; see `hold.masks_of`.

    Attributes:
        held: what `hold` returned, from the beginning of the training on.
    """

    def __init__(self, masks: Mapping[str, torch.Tensor]):
        self.masks = masks
        self.held: HeldMasks | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.held = hold(kwargs["model"], kwargs["optimizer"], self.masks)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert self.held is not None
        self.held.check()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert self.held is not None
        self.held.check()
        self.held.release()
