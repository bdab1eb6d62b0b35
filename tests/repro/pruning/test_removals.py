"""What is noted of removals puts the last removed first, and takes as many bits as there were events."""

from __future__ import annotations

import torch

from repro.pruning.masks import Masks, packed
from repro.pruning.picking import Extent
from repro.pruning.rankings import Removals
from repro.training.masters import Part

CPU = torch.device("cpu")
SHAPES = {"a": torch.Size([3, 7]), "b": torch.Size([4, 8])}
SIZES = {"a": 21, "b": 32}


def masks_of(found: dict[str, torch.Tensor]) -> Masks:
    made = Masks(SHAPES, CPU)
    for name, mask in found.items():
        made.bits(name).copy_(packed(mask))
    return made


def keys_of(removals: Removals, name: str, offset: int, count: int) -> torch.Tensor:
    """The keys of a range of one tensor, asked for in two stretches."""
    keys = removals.keys(Extent(0, 0, count, 0, (Part(name, offset, 0, count),)))
    return torch.cat([keys(0, 8), keys(8, count)])


def test_each_weight_has_the_number_of_the_event_that_removed_it_last() -> None:
    generator = torch.Generator().manual_seed(0)
    alive = {name: torch.ones(size, dtype=torch.bool) for name, size in SIZES.items()}
    number = {name: torch.zeros(size, dtype=torch.int32) for name, size in SIZES.items()}
    removals = Removals(Masks(SHAPES, CPU))
    for event in range(20):
        hit = {name: torch.rand(size, generator=generator) < 0.3 for name, size in SIZES.items()}
        gone, back = ({name: hit[name] & (alive[name] == there) for name in SIZES} for there in (True, False))
        removals.note(event, masks_of(gone), masks_of(back))
        for name in SIZES:
            alive[name] ^= hit[name]
            number[name] = torch.where(gone[name], event + 1, torch.where(back[name], 0, number[name])).int()
            assert torch.equal(keys_of(removals, name, 0, SIZES[name]), number[name])
            assert torch.equal(removals.removed().full(name).flatten(), ~alive[name])
        assert removals.latest() == max(int(found.max()) for found in number.values())
        assert len(removals.digits) == (event + 1).bit_length()
    assert torch.equal(keys_of(removals, "b", 5, 20), number["b"][5:25])
