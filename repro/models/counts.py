"""Counts a model's weights: linear, total and non-zero, with sparsity and structure of every linear layer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from repro.errors import UserError
from repro.models import bitmask
from repro.models.folder import ModelFolder
from repro.models.layout import Placed, Role, place
from repro.models.tensors import Stored, same

WIDTHS = (2, 4, 8, 16, 32, 64)  # values of M for which N:M is detected
FEWEST_GROUPS = 16  # with fewer groups, equal counts per group may be chance
FULL = 0.99  # minimum share of non-zero weights among the N in every M: a kept weight may be 0 by itself
WIDEST = 2**18  # maximum row length, of which max(WIDTHS) are read at once, if neighbours are in different rows
FEW_ZEROS = 1e-3  # share of zeros that a dense layer may have


@dataclass(frozen=True)
class Layer:
    """A linear layer. structure: "dense", "unstructured" or N:M ("2:4"). part: model part: "language", "vision", ..."""

    name: str
    shape: tuple[int, ...]
    params: int
    nonzero: int
    structure: str
    part: str = "language"

    @property
    def sparsity(self) -> float:
        return 1 - self.nonzero / self.params

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"sparsity": self.sparsity}


@dataclass(frozen=True)
class Counts:
    """Counts of a model.

    Attributes:
        total_params: every stored number once; a tied head counts only as the embedding.
        tied: whether head and embedding are tied.
        layout: the class or rule that determines which layers are linear.
        totals: parameters by part of the model: "language", "vision", "audio", "projector".
        notes: caveats for readers of these numbers.
    """

    layers: tuple[Layer, ...]
    total_params: int
    tied: bool
    layout: str = ""
    totals: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def linear_params(self) -> int:
        return sum(layer.params for layer in self.layers)

    @property
    def nonzero_linear_params(self) -> int:
        return sum(layer.nonzero for layer in self.layers)

    @property
    def sparsity(self) -> float:
        """Sparsity over all linear layers."""
        return 1 - self.nonzero_linear_params / self.linear_params

    @property
    def structure(self) -> str:
        """Structure of all layers that are not dense; "mixed" if they have different N:M."""
        found = {layer.structure for layer in self.layers} - {"dense"}
        if len(found) < 2:
            return found.pop() if found else "dense"
        return "unstructured" if "unstructured" in found else "mixed"

    def parts(self) -> dict[str, dict[str, int]]:
        """Counts by part, for models with more than one."""
        return {
            part: {
                "linear_params": sum(layer.params for layer in self.layers if layer.part == part),
                "nonzero_linear_params": sum(layer.nonzero for layer in self.layers if layer.part == part),
                "total_params": total,
            }
            for part, total in self.totals.items()
            if len(self.totals) > 1
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            "linear_params": self.linear_params,
            "total_params": self.total_params,
            "nonzero_linear_params": self.nonzero_linear_params,
            "sparsity": self.sparsity,
            "structure": self.structure,
            "tied_embeddings": self.tied,
            "layout": self.layout,
            "parts": self.parts(),
            "notes": list(self.notes),
            "layers": [layer.to_dict() for layer in self.layers],
        }


def count(model: ModelFolder) -> Counts:
    """Counts a model's weights, a chunk at a time.

    The model's layout determines which layers are linear. A head that is tied to the embedding counts as the embedding,
    even if a file stores it a second time; buffers and scales aren't parameters.

    Raises:
        UserError: the layout is unknown, there is no linear layer, or the weights are packed.
    """
    compact = {weight.name: weight for weight in bitmask.stored(model.tensors).values()}
    modules = [name.removesuffix(".weight") for name in compact]
    plain = {n: t for n, t in model.tensors.items() if not bitmask.is_part(n, modules)}
    tensors: dict[str, Stored | bitmask.Bitmasked] = {**plain, **compact}
    placed = place(model, {name: tensor.shape for name, tensor in tensors.items()})
    copies, tied, notes = _ties(placed, plain)
    layers, totals = [], Counter[str]()
    for name, tensor in tensors.items():
        role = placed.roles[name]
        if not role.counts or name in copies:
            continue
        totals[role.part] += tensor.size
        is_embedding = name not in notes and _kind(placed, placed.layout.tied.get(role.slot)) == "embedding"
        if role.kind == "linear" and tensor.size and not is_embedding:
            layers.append(_layer(name, tensor, role))
    if not layers:
        raise UserError("a model without a linear layer", file=model.path, found=f"{len(plain)} other tensors")
    return Counts(
        layers=tuple(sorted(layers, key=_place)),
        total_params=totals.total(),
        tied=tied,
        layout=placed.layout.name,
        totals=dict(totals),
        notes=(*placed.notes, *notes.values()),
    )


def _ties(placed: Placed, plain: Mapping[str, Stored]) -> tuple[set[str], bool, dict[str, str]]:
    """Tensors that are stored copies of another; whether head and embedding are tied; notes by untied head.

    As transformers loads a file with both of a pair: tied if they are equal, untied if they differ.
    """
    stored = {role.slot: name for name, role in placed.roles.items() if role.counts and name in plain}
    copies: set[str] = set()
    notes: dict[str, str] = {}
    tied = False
    for target, source in placed.layout.tied.items():
        one, other = stored.get(target), stored.get(source)
        if one and other and one != other:
            if not same(plain[one], plain[other]):
                notes[one] = f"the config ties {one} to {other}, but they differ: counted as untied"
                continue
            copies.add(one)
        elif one:  # it represents all that are tied to the same source
            stored[source] = one
        is_head = _kind(placed, target) != "embedding" and _kind(placed, source) == "embedding"
        tied |= is_head and bool(one or other)
    return copies, tied, notes


def _kind(placed: Placed, slot: str | None) -> str | None:
    return placed.layout.slots[slot].kind if slot is not None and slot in placed.layout.slots else None


def _place(layer: Layer) -> tuple[bool, list[tuple[int, str]]]:
    """Sort key: layers.2 before layers.10, the head last."""
    parts = re.split(r"(\d+)", layer.name)
    return len(parts) == 1, [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _layer(name: str, tensor: Stored | bitmask.Bitmasked, role: Role) -> Layer:
    shape = tensor.shape
    across = shape[-1] if role.transposed and shape[-1] <= WIDEST else 0
    groups = _Groups(shape[-2] if across else shape[-1], across)
    for stretch in tensor.present(across * max(WIDTHS)) if across else tensor.present():
        groups.add(stretch)
    return Layer(name, shape, tensor.size, groups.nonzero, groups.structure(tensor.size), role.part)


@dataclass
class _Groups:
    """Non-zero numbers of a tensor, and their maximum in any M neighbouring inputs of an output.

    inputs: number of inputs. across: 0 if neighbours are adjacent in memory; else the row length, and neighbours are in
    consecutive rows, as in Conv1D.
    """

    inputs: int
    across: int = 0
    nonzero: int = 0
    most: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.most = {m: 0 for m in WIDTHS if self.inputs % m == 0}

    def add(self, present: np.ndarray) -> None:
        """Adds (n,) bool; n is a multiple of the widest group, except at the end of the tensor."""
        self.nonzero += int(np.count_nonzero(present))
        counts = present.view(np.uint8)
        if self.across:
            counts = counts.reshape(-1, self.across)
        for m, most in self.most.items():
            if all(self.most[wider] == wider for wider in self.most if wider >= m):
                break  # there are full groups of all these widths, so no N:M
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
