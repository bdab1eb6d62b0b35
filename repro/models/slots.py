"""What a layout is: the parameters of a module tree, and which of them a stored tensor holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["linear", "embedding", "other", "buffer"]
# Tensors that older versions of libraries stored though they are no weights: masks, positions, rotary frequencies.
BUFFER = re.compile(
    r"(?:^|\.)(?:(?:self_attn|attn|attention|crossattention|self_attention)\.(?:masked_)?bias"
    r"|rotary_emb\.\w*inv_freq|(?:rotary_emb\.)?(?:cos|sin)_cached|rope\.freqs|position_ids|token_type_ids"
    r"|num_batches_tracked|relative_position_index)$"
)


@dataclass(frozen=True)
class Slot:
    """A parameter of a module tree. shape: None where only its name is known. transposed: (in, out), as Conv1D has it."""

    kind: Kind
    shape: tuple[int, ...] | None = None
    transposed: bool = False


@dataclass(frozen=True)
class Layout:
    """A known layout.

    Attributes:
        name: for a person.
        slots: parameters by their names in the tree.
        find: a stored name to that of its slot; None where the layout has none.
        tied: names of parameters that are another one, which is the value.
        ignored: stored names that the model doesn't read.
        exact: whether the shapes are this model's, and not those of a class's defaults.
        optional: slots that files need not hold.
    """

    name: str
    slots: Mapping[str, Slot]
    find: Callable[[str], str | None]
    tied: Mapping[str, str] = field(default_factory=dict)
    ignored: Callable[[str], bool] = lambda name: False
    exact: bool = False
    optional: Callable[[str], bool] = lambda name: False
