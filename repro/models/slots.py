"""Layouts: the parameters of a module tree, and the mapping from stored tensors to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["linear", "embedding", "other", "buffer"]
# Buffers that older library versions stored with the weights: masks, positions, rotary frequencies.
BUFFER = re.compile(
    r"(?:^|\.)(?:(?:self_attn|attn|attention|crossattention|self_attention)\.(?:masked_)?bias"
    r"|rotary_emb\.\w*inv_freq|(?:rotary_emb\.)?(?:cos|sin)_cached|rope\.freqs|position_ids|token_type_ids"
    r"|num_batches_tracked|relative_position_index)$"
)


@dataclass(frozen=True)
class Slot:
    """A parameter of a module tree. shape: None if only its name is known. transposed: (in, out), as in Conv1D."""

    kind: Kind
    shape: tuple[int, ...] | None = None
    transposed: bool = False


@dataclass(frozen=True)
class Layout:
    """A known layout.

    Attributes:
        slots: parameters by their names in the tree.
        find: maps a stored name to its slot; None if there is none.
        tied: maps names of tied parameters to the parameter that they share.
        ignored: whether the model ignores a stored name.
        exact: whether the shapes are this model's rather than a class's defaults.
        optional: whether a slot may be missing from the files.
    """

    name: str
    slots: Mapping[str, Slot]
    find: Callable[[str], str | None]
    tied: Mapping[str, str] = field(default_factory=dict)
    ignored: Callable[[str], bool] = lambda name: False
    exact: bool = False
    optional: Callable[[str], bool] = lambda name: False
