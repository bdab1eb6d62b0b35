"""The average slope difference, by hand and by what it must not see."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.fits.slopes import average_slope_difference, settled_at, slopes

TOKENS = np.array([100.0, 200.0, 800.0])


def test_slopes_are_nats_a_doubling() -> None:
    np.testing.assert_allclose(slopes(TOKENS, np.array([4.0, 3.5, 3.1])), [-0.5, -0.2])


def test_it_is_the_mean_of_absolute_differences_of_slopes() -> None:
    measured, predicted = np.array([4.0, 3.5, 3.1]), np.array([4.0, 3.4, 3.2])
    assert average_slope_difference(TOKENS, predicted, measured) == pytest.approx((0.1 + 0.1) / 2)
    assert average_slope_difference(TOKENS, predicted, measured, last=1) == pytest.approx(0.1)


def test_it_is_blind_to_an_offset_and_counts_the_curves_of_a_batch_apart() -> None:
    measured = np.array([4.0, 3.5, 3.1])
    batch = np.array([measured + 0.3, measured * 2])
    np.testing.assert_allclose(average_slope_difference(TOKENS, batch, measured), [0.0, 0.35], atol=1e-12)


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
