"""Slopes of a curve, and where it has settled, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.fits.curve_fits import settled_at, slopes

TOKENS = np.array([100.0, 200.0, 800.0])


def test_slopes_are_nats_a_doubling() -> None:
    np.testing.assert_allclose(slopes(TOKENS, np.array([4.0, 3.5, 3.1])), [-0.5, -0.2])


@pytest.mark.parametrize(
    ("loss", "at"),
    [
        ([4.0, 3.5, 3.49], np.sqrt(200.0 * 800.0)),
        ([4.0, 3.999, 3.998], np.sqrt(100.0 * 200.0)),
        ([4.0, 3.999, 3.5], None),  # it falls again: not settled
    ],
)
def test_a_curve_has_settled_where_it_stays_flat(loss: list[float], at: float | None) -> None:
    assert settled_at(TOKENS, np.array(loss)) == (None if at is None else pytest.approx(at))
