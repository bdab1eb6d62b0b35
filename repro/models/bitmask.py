"""The `sparse-bitmask` layout of sparse weights: one bit a weight, and those that are not zero in order.

As compressed-tensors' public format has it, a layer NAME.weight becomes four tensors: NAME.shape, NAME.bitmask
(rows of bytes, the first weight in the least significant bit), NAME.compressed (the weights left) and
NAME.row_offsets (where each row of them begins).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from repro.errors import UserError
from repro.models.tensors import FLOATS, Stored

if TYPE_CHECKING:
    import torch

MOST_COLUMNS = 2**24  # of which one row is unpacked at once
PARTS = ("shape", "compressed", "bitmask", "row_offsets")


@dataclass(frozen=True)
class Bitmasked:
    """A weight that files hold in this layout."""

    name: str
    shape: tuple[int, ...]
    bits: Stored

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def present(self, multiple: int = 1) -> Iterator[np.ndarray]:
        """Flat stretches of the mask, each of whole rows, which `multiple` divides where it is some rows."""
        columns = self.shape[1]
        width = (columns + 7) // 8
        for packed in self.bits.stretches(max(1, multiple // columns) * width):
            bits = np.unpackbits(packed.reshape(-1, width), axis=-1, count=columns, bitorder="little")
            yield bits.view(bool).reshape(-1)


def stored(tensors: Mapping[str, Stored]) -> dict[str, Bitmasked]:
    """The weights that are there in this layout, by the names of their modules.

    Raises:
        UserError: a part of one is missing, or doesn't fit the others.
    """
    found = {}
    for name, bits in tensors.items():
        module, _, part = name.rpartition(".")
        if part != "bitmask":
            continue
        parts = {part: tensors.get(f"{module}.{part}") for part in PARTS}
        if missing := [part for part, tensor in parts.items() if tensor is None]:
            raise UserError("a compact weight that lacks a part", file=bits.file, key=module, found=f"no {missing[0]}")
        found[module] = _checked(module, {part: tensor for part, tensor in parts.items() if tensor is not None})
    return found


def _checked(module: str, parts: dict[str, Stored]) -> Bitmasked:
    shape, values, bits, offsets = (parts[part] for part in PARTS)
    there = shape.dtype == "I64" and shape.shape == (2,)
    rows, columns = next(shape.stretches()).tolist() if there else (0, 0)
    weight = Bitmasked(f"{module}.weight", (rows, columns), bits)
    fits = (
        rows * columns > 0
        and columns <= MOST_COLUMNS
        and (bits.dtype, bits.shape) == ("U8", (rows, (columns + 7) // 8))
        and (offsets.dtype, offsets.shape) == ("I64", (rows,))
        and (values.dtype in FLOATS and len(values.shape) == 1)
        and sum(int(np.count_nonzero(stretch)) for stretch in weight.present()) == values.size
    )
    if not fits:
        raise UserError(
            "the parts of a compact weight don't fit each other",
            file=bits.file,
            key=module,
            found=f"shape {rows} x {columns}, bitmask {bits.shape}, {values.size:,} weights, {offsets.size:,} rows",
            expected="as many weights as bits that are set, in rows of the shape",
        )
    return weight


def is_part(name: str, of: Iterable[str]) -> bool:
    """Whether a tensor is a part of one of the modules `of`."""
    module, _, part = name.rpartition(".")
    return part in PARTS and module in of


def encoded(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """The four tensors of (rows, columns) `weight`, whose name ends in `.weight`."""
    import torch

    module, mask = name.removesuffix(".weight"), weight != 0
    left = mask.sum(dim=-1)
    return {
        f"{module}.shape": torch.tensor(weight.shape),
        f"{module}.compressed": weight[mask],
        f"{module}.bitmask": torch.from_numpy(np.packbits(mask.numpy(), axis=-1, bitorder="little")),
        f"{module}.row_offsets": left.cumsum(0) - left,
    }


def decoded(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All weights whole again, from tensors of which some are in this layout."""
    import torch

    modules = [name.removesuffix(".bitmask") for name in tensors if name.endswith(".bitmask")]
    whole = {name: tensor for name, tensor in tensors.items() if not is_part(name, modules)}
    for module in modules:
        shape = tensors[f"{module}.shape"].tolist()
        bits = np.unpackbits(tensors[f"{module}.bitmask"].numpy(), axis=-1, count=shape[-1], bitorder="little")
        values = tensors[f"{module}.compressed"]
        weight = torch.zeros(shape, dtype=values.dtype)
        weight[torch.from_numpy(bits.view(bool))] = values
        whole[f"{module}.weight"] = weight
    return whole
