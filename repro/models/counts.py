"""What a model's weights are: linear, total and non-zero counts, sparsity and structure of every linear layer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from repro.errors import UserError
from repro.models import bitmask
from repro.models.folder import ModelFolder
from repro.models.tensors import FLOATS, Stored

WIDTHS = (2, 4, 8, 16, 32, 64)  # the M of N:M that are looked for
FEWEST_GROUPS = 16  # below that many, as many weights in each group is chance
FULL = 0.99  # share of N in every M that must be there, since a weight that is kept may be 0 by itself
IN_A_BLOCK = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FEW_ZEROS = 1e-3  # share of zeros that a dense layer may have by itself


@dataclass(frozen=True)
class Layer:
    """A linear layer. structure: "dense", "unstructured", or N:M as "2:4"."""

    name: str
    shape: tuple[int, ...]
    params: int
    nonzero: int
    structure: str

    @property
    def sparsity(self) -> float:
        return 1 - self.nonzero / self.params

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"sparsity": self.sparsity}


@dataclass(frozen=True)
class Counts:
    """A model, counted. total_params: each stored number once; of a tied head none is stored but the embedding."""

    layers: tuple[Layer, ...]
    total_params: int
    tied: bool

    @property
    def linear_params(self) -> int:
        return sum(layer.params for layer in self.layers)

    @property
    def nonzero_linear_params(self) -> int:
        return sum(layer.nonzero for layer in self.layers)

    @property
    def sparsity(self) -> float:
        """Of the linear layers together."""
        return 1 - self.nonzero_linear_params / self.linear_params

    @property
    def structure(self) -> str:
        """That of all layers that are not dense; "mixed" where they are of several N:M."""
        found = {layer.structure for layer in self.layers} - {"dense"}
        if len(found) < 2:
            return found.pop() if found else "dense"
        return "unstructured" if "unstructured" in found else "mixed"

    def to_dict(self) -> dict[str, Any]:
        return {
            "linear_params": self.linear_params,
            "total_params": self.total_params,
            "nonzero_linear_params": self.nonzero_linear_params,
            "sparsity": self.sparsity,
            "structure": self.structure,
            "tied_embeddings": self.tied,
            "layers": [layer.to_dict() for layer in self.layers],
        }


def count(model: ModelFolder) -> Counts:
    """Counts a model's weights, a stretch at a time.

    Linear are the tensors of two dimensions and more that are no embedding. A head that is tied to the embedding is
    one, even where a file holds it a second time.

    Raises:
        UserError: it has no linear layer, or its weights are quantised.
    """
    compact = bitmask.stored(model.tensors)
    plain = {n: t for n, t in model.tensors.items() if not bitmask.is_part(n, compact)}
    if model.tied and any("embed" in name for name in plain):
        plain.pop("lm_head.weight", None)
    layers = [_layer(w.name, w.shape, w.present()) for w in compact.values()]
    for tensor in plain.values():
        if len(tensor.shape) > 1 and tensor.dtype not in FLOATS:
            raise UserError(
                "quantised weights can't be counted",
                file=tensor.file,
                key=tensor.name,
                found=tensor.dtype,
                expected=", ".join(FLOATS),
            )
        if _is_linear(tensor):
            layers.append(_layer(tensor.name, tensor.shape, tensor.present()))
    if not sum(layer.params for layer in layers):
        raise UserError("a model without a linear layer", file=model.path, found=f"{len(plain)} other tensors")
    total = sum(w.size for w in compact.values()) + sum(t.size for t in plain.values())
    return Counts(tuple(sorted(layers, key=_place)), total, model.tied)


def _is_linear(tensor: Stored) -> bool:
    return len(tensor.shape) > 1 and tensor.size > 0 and "embed" not in tensor.name


def _place(layer: Layer) -> tuple[bool, list[tuple[int, str]]]:
    """Orders layers.2 before layers.10, and the head after them."""
    parts = re.split(r"(\d+)", layer.name)
    return len(parts) == 1, [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _layer(name: str, shape: tuple[int, ...], present: Iterator[np.ndarray]) -> Layer:
    groups = _Groups(shape[-1])
    for stretch in present:
        groups.add(stretch)
    size = math.prod(shape)
    return Layer(name, shape, size, groups.nonzero, groups.structure(size))


@dataclass
class _Groups:
    """Of a tensor with rows of `columns`: non-zero numbers, and the most of them in any M neighbours of a row."""

    columns: int
    nonzero: int = 0
    most: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.most = {m: 0 for m in WIDTHS if self.columns % m == 0}

    def add(self, present: np.ndarray) -> None:
        """(n,) bool, so many that the widest group divides them, but at the end of the tensor."""
        self.nonzero += int(np.count_nonzero(present))
        counts = present.view(np.uint8)
        for m, most in self.most.items():
            if all(self.most[wider] == wider for wider in self.most if wider >= m):
                break  # a group of each of these widths is full: no N:M
            counts = counts[0::2] + counts[1::2]
            self.most[m] = max(most, int(counts.max(initial=0)))

    def structure(self, size: int) -> str:
        if size - self.nonzero <= FEW_ZEROS * size:
            return "dense"
        for m, n in self.most.items():
            groups = size // m
            if 0 < n < m and groups >= FEWEST_GROUPS and self.nonzero >= FULL * n * groups:
                return f"{n}:{m}"
        return "unstructured"


def described(counts: Counts) -> list[str]:
    """Lines for a person: the totals, then sparsity by layer, a row a block."""
    tied = ", of which the embedding is the head too (tied)" if counts.tied else ""
    lines = [
        f"linear     {counts.linear_params:>16,}",
        f"non-zero   {counts.nonzero_linear_params:>16,} of the linear",
        f"total      {counts.total_params:>16,}{tied}",
        f"sparsity   {counts.sparsity:>16.4%} of the linear",
        f"structure  {counts.structure:>16}",
        "",
    ]
    head, rows = table(counts)
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        lines.append("  ".join(f"{cell:{'>' if i else '<'}{widths[i]}}" for i, cell in enumerate(row)).rstrip())
    return lines


def table(counts: Counts) -> tuple[list[str], list[list[str]]]:
    """Head and rows: sparsity, a row a block and a column a kind of layer, all experts of a kind together."""
    cells: dict[str, dict[str, list[Layer]]] = {}
    for layer in counts.layers:
        name = layer.name.removesuffix(".weight")
        found = re.search(r"(?:^|\.)layers\.(\d+)\.(?:.*\.)?([^.]+)$", name)
        row, column = (found[1], found[2]) if found else (name, "")
        cells.setdefault(row, {}).setdefault(column, []).append(layer)
    columns = sorted({column for row in cells.values() for column in row}, key=_as_in_a_block)
    return ["layer", *columns], [[row, *(_cell(of.get(column, [])) for column in columns)] for row, of in cells.items()]


def _as_in_a_block(column: str) -> tuple[int, str]:
    return (IN_A_BLOCK.index(column) if column in IN_A_BLOCK else len(IN_A_BLOCK), column)


def _cell(layers: list[Layer]) -> str:
    if not layers:
        return ""
    share = 1 - sum(layer.nonzero for layer in layers) / sum(layer.params for layer in layers)
    found = {layer.structure for layer in layers}
    return f"{share:.2%}" + (f" {found.pop()}" if len(found) == 1 and ":" in "".join(found) else "")
