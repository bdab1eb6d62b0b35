"""Counts and FLOPs of the paper's sizes, and dense partners of given counts."""

import pytest

from repro import ladder
from repro.errors import UserError
from repro.ladder import Shape

SIZES = {  # millions: prunable, total
    Shape(512, 6, 8, 2048, 32_000): (41.55, 57.94),
    Shape(768, 12, 12, 3072, 32_000): (137.82, 162.42),
    Shape(1024, 24, 16, 4096, 32_000): (435.42, 468.24),
    Shape(2048, 16, 8, 8192, 32_000): (1_139.28, 1_204.88),
}


@pytest.mark.parametrize("shape", SIZES)
def test_sizes_of_the_paper_have_its_counts(shape):
    prunable, total = SIZES[shape]
    assert shape.prunable / 1e6 == pytest.approx(prunable, abs=0.005)
    assert shape.total / 1e6 == pytest.approx(total, abs=0.005)


def test_prunable_weights_are_the_linear_layers_and_the_rest_is_embedding_and_norms():
    shape = Shape(8, 2, 1, 20, 32)
    assert sum(shape.linears.values()) == shape.prunable == 2 * (4 * 64 + 3 * 160) + 8 * 32
    assert shape.linears["lm_head"] == 8 * 32
    assert shape.total - shape.prunable == 8 * 32 + (2 * 2 + 1) * 8


def test_the_largest_run_of_the_paper_takes_its_compute():
    shape = Shape(1024, 24, 16, 4096, 32_000)
    assert ladder.effective_flops(shape.prunable * 328_878, 524_288) == pytest.approx(4.5e20, rel=2e-3)


@pytest.mark.parametrize(("shape", "share"), zip(SIZES, (0.30, 0.27, 0.23, 0.12), strict=True))
def test_full_attention_scores_are_their_stated_share_of_the_linear_flops(shape, share):
    """Executed FLOPs count the causal half."""
    linear = 6.0 * shape.prunable
    assert 2 * (ladder.executed_flops(shape, 1, 2048) - linear) / linear == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("count", ["prunable", "total"])
@pytest.mark.parametrize("share", [0.89, 0.77, 0.61, 0.40])
def test_a_partner_has_the_wanted_count_and_the_same_layers_heads_and_vocabulary(share, count):
    shape = Shape(768, 12, 12, 3072, 32_000)
    target = share * getattr(shape, count)
    found = ladder.partner(shape, target, count=count, mlp_multiple=8)
    assert getattr(found, count) == pytest.approx(target, rel=1e-3)
    assert (found.layers, found.heads, found.vocab) == (shape.layers, shape.heads, shape.vocab)
    assert found.mlp % 8 == 0
    assert found.d_model % (2 * found.heads) == 0
    assert 2.5 <= found.mlp / found.d_model <= 6


def test_a_partner_for_tensor_cores_has_wide_heads_and_the_coarsest_mlp_that_is_close_enough():
    shape = Shape(768, 12, 12, 3072, 32_000)
    multiples = set()
    for share in (0.892, 0.766, 0.61, 0.3992):
        found = ladder.partner(shape, share * shape.prunable, head_multiple=8, tolerance=1.2e-4)
        assert found.per_head % 8 == 0
        assert found.prunable == pytest.approx(share * shape.prunable, rel=1.2e-4)
        multiple = min(8, found.mlp & -found.mlp)
        coarser = [
            Shape(d, 12, 12, m, 32_000) for d in range(96, 1537, 96) for m in range(8, 6 * d + 1) if m >= 2.5 * d
        ]
        coarser = [one for one in coarser if multiple < 8 and one.mlp % (2 * multiple) == 0]
        assert all(abs(one.prunable / (share * shape.prunable) - 1) >= 1.2e-4 for one in coarser)
        multiples.add(multiple)
    assert len(multiples) > 1


def test_a_count_that_no_width_reaches_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="no dense partner is close enough") as error:
        ladder.partner(Shape(8, 2, 1, 32, 288), 1_000.5, mlp_multiple=8)
    assert "%" in str(error.value.found) or "none" in str(error.value.found)


@pytest.mark.parametrize(
    ("dimensions", "key"),
    [((9, 2, 1, 32, 64), "d_model"), ((8, 0, 1, 32, 64), "layers"), ((8, 2, 3, 32, 64), "d_model")],
)
def test_impossible_dimensions_are_refused_by_name(dimensions, key):
    with pytest.raises(UserError) as error:
        Shape(*dimensions)
    assert error.value.key == key
