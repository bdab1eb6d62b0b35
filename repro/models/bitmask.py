"""The `sparse-bitmask` layout of sparse weights: one bit per weight, and the non-zero weights in order.

As in compressed-tensors' public format, a layer NAME.weight becomes four tensors: NAME.shape, NAME.bitmask
(rows of bytes, the first weight in the least significant bit), NAME.compressed (the non-zero weights) and
NAME.row_offsets (index of each row's first one).
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

MOST_COLUMNS = 2**24  # one row is unpacked at once
PARTS = ("shape", "compressed", "bitmask", "row_offsets")


@dataclass(frozen=True)
class Bitmasked:
    """A weight stored in this layout."""

    name: str
    shape: tuple[int, ...]
    bits: Stored

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def present(self, multiple: int = 1) -> Iterator[np.ndarray]:
        """Consecutive flat chunks of the mask, each of whole rows; a multiple of `multiple` if that is whole rows."""
        columns = self.shape[1]
        width = (columns + 7) // 8
        for packed in self.bits.stretches(max(1, multiple // columns) * width):
            bits = np.unpackbits(packed.reshape(-1, width), axis=-1, count=columns, bitorder="little")
            yield bits.view(bool).reshape(-1)


def stored(tensors: Mapping[str, Stored]) -> dict[str, Bitmasked]:
    """The weights stored in this layout, by module name.

    Raises:
        UserError: a part of a weight is missing, or doesn't match the others.
    """
    found = {}
    for name, bits in tensors.items():
        module, _, part = name.rpartition(".")
        if part != "bitmask":
            continue
        if missing := [part for part in PARTS if f"{module}.{part}" not in tensors]:
            raise UserError("an incomplete compact weight", file=bits.file, key=module, found=f"no {missing[0]}")
        found[module] = _checked(module, *(tensors[f"{module}.{part}"] for part in PARTS))
    return found


def _checked(module: str, shape: Stored, values: Stored, bits: Stored, offsets: Stored) -> Bitmasked:
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
        message = "the parts of a compact weight don't match"
        found = f"shape {rows} x {columns}, bitmask {bits.shape}, {values.size:,} weights, {offsets.size:,} rows"
        expected = "as many weights as set bits, in rows of the shape"
        raise UserError(message, file=bits.file, key=module, found=found, expected=expected)
    return weight


def is_part(name: str, of: Iterable[str]) -> bool:
    """Whether a tensor is a part of a compact weight of one of the modules `of`."""
    module, _, part = name.rpartition(".")
    return part in PARTS and module in of


def encoded(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
    """The four tensors of a (rows, columns) weight whose name ends in `.weight`."""
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
    """All weights in dense form, from tensors of which some are in this layout."""
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
