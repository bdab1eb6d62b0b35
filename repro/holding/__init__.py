"""Keeps the masks of any pruned model exact while it trains: `hold(model, optimizer, masks)`, then `check()`. See docs/holding.md."""

from repro.holding.hold import HeldMasks, hold, masks_of

__all__ = ["HeldMasks", "hold", "masks_of"]
