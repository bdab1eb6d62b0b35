"""Resamples that every bootstrap shares: whole clusters, rows that are needed, noise around a loss."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.fits import resample
from repro.errors import UserError


def test_a_cluster_is_drawn_as_a_whole() -> None:
    labels = np.repeat(np.arange(12), 3)
    drawn = resample.draw(36, 50, np.random.default_rng(0), clusters=labels)
    assert (drawn.method, drawn.units, drawn.noise) == ("clusters", 12, None)
    assert np.all(drawn.counts.reshape(50, 12, 3) == drawn.counts.reshape(50, 12, 3)[:, :, :1])
    assert np.all(drawn.counts.sum(axis=1) == 36)


def test_every_resample_holds_a_row_that_is_needed() -> None:
    needed = np.arange(12) == 5
    drawn = resample.draw(12, 200, np.random.default_rng(0), needed=(needed, ~needed))
    assert drawn.redrawn > 0
    assert np.all(drawn.counts[:, needed].sum(axis=1) > 0)


def test_few_clusters_need_a_standard_deviation_and_are_drawn_as_noise() -> None:
    rng, loss = np.random.default_rng(0), np.array([2.0, 3.0, 4.0])
    with pytest.raises(UserError, match="too few clusters"):
        resample.draw(3, 10, rng)
    drawn = resample.draw(3, 20_000, rng, sigma=0.01)
    assert (drawn.method, drawn.units) == ("parametric", 3)
    assert np.std(drawn.losses(loss), axis=0) == pytest.approx(0.01, rel=0.03)
    rows = np.array([2, 0])
    assert np.array_equal(drawn.where(rows).losses(loss[rows]), drawn.losses(loss)[:, rows])
