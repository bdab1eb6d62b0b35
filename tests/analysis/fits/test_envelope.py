"""The lowest of training curves, and the power of compute with which its size goes."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.fits.envelope import envelope
from repro.errors import UserError
from tests.analysis import compute


def test_the_envelope_shows_the_exponent() -> None:
    size, flops, tokens, loss = compute.curves(compute.BESIROGLU)
    loss = compute.noisy_curves(size, loss, 0.003, 0.001, np.random.default_rng(0))
    found = envelope(size, flops, tokens, loss, None)
    assert found.a_N.low < compute.a_n(compute.BESIROGLU) < found.a_N.high
    assert found.a_N.high - found.a_N.low < 0.05
    assert found.a_D.high == pytest.approx(1 - found.a_N.low)
    known = [one for one in found.best if one.N is not None]
    assert len(known) == 8
    for one in known:
        assert pytest.approx(compute.best_size(compute.BESIROGLU, np.array([one.C])), rel=0.3) == [one.N]


def test_without_noise_it_has_no_bias_of_steps() -> None:
    """A line through the steps themselves would be some percent too flat."""
    for apart, count in ((2.0, 6), (3.0, 5)):
        found = envelope(*compute.curves(compute.BESIROGLU, count, apart), None)
        assert found.a_N.value == pytest.approx(compute.a_n(compute.BESIROGLU), rel=0.003)


def test_runs_of_one_size_are_averaged_where_all_are() -> None:
    size, flops, tokens, loss = compute.curves(compute.BESIROGLU, 6)
    rng = np.random.default_rng(0)
    twice = [np.tile(values, 2) for values in (size, flops, tokens)]
    both = np.concatenate([compute.noisy_curves(size, loss, 0.002, 0, rng) for _ in range(2)])
    runs = np.repeat([0.0, 1.0], len(size)) + 2 * np.unique(twice[0], return_inverse=True)[1]
    size, flops, tokens = twice
    apart, as_one = (envelope(size, flops, tokens, both, own).a_N for own in (runs, None))
    assert apart.value == pytest.approx(as_one.value, abs=1e-3)


def test_a_curve_that_ends_too_early_is_no_passage() -> None:
    size, flops, tokens, loss = compute.curves(compute.BESIROGLU, 7)
    early = (size == size.min()) & (tokens > 4 * size)
    found = envelope(size[~early], flops[~early], tokens[~early], loss[~early], None)
    out = [one.left_out for one in found.best if one.left_out]
    assert len(out) == 1
    assert "ends before a larger one reaches it" in str(out[0])
    assert found.a_N.value == pytest.approx(compute.a_n(compute.BESIROGLU), rel=0.01)


def test_what_is_no_set_of_curves_is_refused() -> None:
    size, flops, tokens, loss = compute.curves(compute.BESIROGLU, 3)
    with pytest.raises(UserError, match="too few sizes"):
        envelope(size, flops, tokens, loss, None)
    size, flops, tokens, loss = compute.curves(compute.BESIROGLU, 6, points=3)
    with pytest.raises(UserError, match="no training curve"):
        envelope(size, flops, tokens, loss, None)
    size, flops, tokens, loss = compute.curves(compute.BESIROGLU, 6)
    with pytest.raises(UserError, match="several sizes"):
        envelope(size, flops, tokens, loss, np.zeros(len(size)))
