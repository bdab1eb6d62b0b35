"""Masks lie at one bit a weight, and come back as they were written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro.pruning.masks import Masks, packed, unpacked
from repro.spec import ModelSpec
from repro.training import model

CPU = torch.device("cpu")
SHAPES = {"a": torch.Size([3, 7]), "b": torch.Size([4, 8]), "c": torch.Size([1, 1]), "d": torch.Size([9, 5])}


def random_bits(size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(seed)) < 0.5


@pytest.mark.parametrize("size", range(1, 71))
def test_packing_is_numpys_and_unpacking_gives_every_stretch_back(size: int) -> None:
    mask = random_bits(size, seed=size)
    bits = packed(mask)
    assert bits.dtype == torch.uint8
    assert np.array_equal(bits.numpy(), np.packbits(mask.numpy(), bitorder="little"))
    for start in range(size):
        for count in {1, (size - start) // 2, size - start}:
            assert torch.equal(unpacked(bits, start, count), mask[start : start + count])


def test_any_view_of_a_mask_can_be_packed() -> None:
    mask = random_bits(101)
    for view in (mask[3:], mask[8:], mask[::2], mask[1:99:7], mask.view(1, 101)[0, 5:]):
        assert np.array_equal(packed(view).numpy(), np.packbits(view.numpy(), bitorder="little"))


def test_the_mask_of_nothing_is_no_bytes() -> None:
    assert packed(torch.zeros(0, dtype=torch.bool)).numel() == 0


def test_a_table_says_what_the_bits_become() -> None:
    mask = random_bits(29)
    bits = (torch.arange(256).unsqueeze(1) >> torch.arange(8)) & 1
    assert torch.equal(unpacked(packed(mask), 3, 20, table=5 - 2 * bits), 5 - 2 * mask[3:23].long())


def test_at_first_every_weight_is_kept() -> None:
    masks = Masks.all_kept(SHAPES, CPU)
    assert masks.counts() == {"a": 21, "b": 32, "c": 1, "d": 45}
    assert all(masks.full(name).all() for name in SHAPES)


@pytest.mark.parametrize("start", [0, 1, 7, 8, 13, 20])
@pytest.mark.parametrize("count", [1, 2, 8, 11, 25])
def test_writing_a_stretch_leaves_its_neighbours_alone(start: int, count: int) -> None:
    for before in (False, True):
        masks = Masks.all_kept(SHAPES, CPU) if before else Masks(SHAPES, CPU)
        expected, written = torch.full((45,), before), random_bits(count)
        written[0] = not before
        expected[start : start + count] = written
        around = masks.counts()
        masks.write("d", start, written)
        assert torch.equal(masks.full("d").flatten(), expected)
        assert masks.counts() == around | {"d": int(expected.sum())}


def test_the_bits_past_the_last_weight_stay_zero() -> None:
    masks = Masks.all_kept(SHAPES, CPU)
    masks.write("d", 40, torch.ones(5, dtype=torch.bool))
    assert int(np.unpackbits(masks.buffer.numpy()).sum()) == sum(masks.sizes.values())


def test_counts_are_those_of_each_tensor() -> None:
    masks, expected = Masks(SHAPES, CPU), {}
    for seed, (name, size) in enumerate(masks.sizes.items()):
        mask = random_bits(size, seed)
        masks.write(name, 0, mask)
        expected[name] = int(mask.sum())
    assert masks.counts() == expected


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.float32, torch.float64])
def test_a_mask_takes_its_tensors_shape_and_the_type_asked_for(dtype: torch.dtype) -> None:
    masks, mask = Masks(SHAPES, CPU), random_bits(45)
    masks.write("d", 0, mask)
    assert masks.full("d", dtype).dtype == masks.flat("d", 3, 9, dtype).dtype == dtype
    assert torch.equal(masks.full("d", dtype), mask.view(9, 5).to(dtype))
    assert torch.equal(masks.flat("d", 3, 9, dtype), mask[3:12].to(dtype))


def test_the_masks_of_a_real_llama_rest_at_one_bit_a_weight() -> None:
    with torch.device("meta"):
        network = model.build(ModelSpec(512, 6, 8, 2048, 32_000, 2048), seed=0)
    shapes = {name: parameter.shape for name, parameter in model.prunable(network).items()}
    masks = Masks.all_kept(shapes, CPU)
    weights = sum(masks.counts().values())
    assert weights == sum(shape.numel() for shape in shapes.values()) > 41e6
    assert masks.buffer.untyped_storage().nbytes() * 8 <= 1.01 * weights
