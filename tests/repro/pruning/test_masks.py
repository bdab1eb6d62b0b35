"""Masks lie at one bit a weight, and come back as they were written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro.pruning.masks import Masks, _by_rows, _by_words, packed, unpacked
from repro.spec import ModelSpec
from repro.training import model
from repro.training.masters import Part

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


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.bfloat16, torch.float32, torch.int32, torch.int64])
def test_a_gpus_way_to_unpack_gives_what_a_cpus_does(dtype: torch.dtype) -> None:
    bits = torch.arange(256, dtype=torch.uint8)
    for less in (0,) if dtype in (torch.bool, torch.uint8) else (0, 1):
        on_cpu, on_gpu = _by_rows(bits, dtype, less), _by_words(bits, dtype, less)
        assert on_cpu.dtype == on_gpu.dtype == dtype
        assert torch.equal(on_cpu, on_gpu)
    assert _by_words(bits[:0], dtype, 0).numel() == 0


def test_ones_and_zeros_are_lessened() -> None:
    mask = random_bits(29)
    assert torch.equal(unpacked(packed(mask), 3, 20, torch.int32, less=1), mask[3:23].int() - 1)


def test_at_first_every_weight_is_kept() -> None:
    masks = Masks.all_kept(SHAPES, CPU)
    assert masks.counts() == {"a": 21, "b": 32, "c": 1, "d": 45}
    assert all(masks.full(name).all() for name in SHAPES)


def write(masks: Masks, name: str, offset: int, mask: torch.Tensor, start: int = 0) -> None:
    """Scatters (n,) bool that lie at `start` of a flat of other bits."""
    flat = torch.cat([random_bits(start, seed=9), mask, random_bits(5, seed=8)])
    masks.scatter(packed(flat), [Part(name, offset, start, mask.numel())])


@pytest.mark.parametrize("start", [0, 3, 8])
@pytest.mark.parametrize("offset", [0, 1, 7, 8, 13, 20])
@pytest.mark.parametrize("count", [1, 2, 8, 11, 25])
def test_scattering_a_part_leaves_its_neighbours_alone(offset: int, count: int, start: int) -> None:
    for before in (False, True):
        masks = Masks.all_kept(SHAPES, CPU) if before else Masks(SHAPES, CPU)
        expected, written = torch.full((45,), before), random_bits(count)
        written[0] = not before
        expected[offset : offset + count] = written
        around = masks.counts()
        write(masks, "d", offset, written, start)
        assert torch.equal(masks.full("d").flatten(), expected)
        assert masks.counts() == around | {"d": int(expected.sum())}


@pytest.mark.parametrize("others", [False, True])
def test_gathered_parts_lie_where_the_flat_has_them_among_weights_without_masks(others: bool) -> None:
    masks, mask = Masks(SHAPES, CPU), random_bits(45)
    write(masks, "d", 0, mask)
    write(masks, "a", 0, random_bits(21, seed=2))
    parts = [Part("norm", 0, 0, 6), Part("d", 4, 6, 41), Part("a", 0, 47, 21), Part("norm2", 2, 68, 3)]
    found = unpacked(masks.gather(parts, 75, others=others), 0, 75)
    rest = torch.full((7,), others)
    assert torch.equal(found, torch.cat([rest[:6], mask[4:], random_bits(21, seed=2), rest]))


def test_the_bits_past_the_last_weight_stay_zero() -> None:
    masks = Masks.all_kept(SHAPES, CPU)
    write(masks, "d", 40, torch.ones(5, dtype=torch.bool))
    assert int(np.unpackbits(masks.buffer.numpy()).sum()) == sum(masks.sizes.values())


def test_counts_are_those_of_each_tensor() -> None:
    masks, expected = Masks(SHAPES, CPU), {}
    for seed, (name, size) in enumerate(masks.sizes.items()):
        mask = random_bits(size, seed)
        write(masks, name, 0, mask)
        expected[name] = int(mask.sum())
    assert masks.counts() == expected


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.float32, torch.float64])
def test_a_mask_takes_its_tensors_shape_and_the_type_asked_for(dtype: torch.dtype) -> None:
    masks, mask = Masks(SHAPES, CPU), random_bits(45)
    write(masks, "d", 0, mask)
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
