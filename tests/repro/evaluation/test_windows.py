"""Every token is scored once, with as much before it as was said."""

from __future__ import annotations

import numpy as np
import pytest

from repro.errors import UserError
from repro.evaluation import windows


@pytest.mark.parametrize("window", [2, 3, 8, 33])
@pytest.mark.parametrize("share", [1, 2, 8])
def test_sliding_windows_score_each_token_but_the_first_once(window: int, share: int) -> None:
    stride = max(1, window // share)
    lengths = [1, 2, window - 1, window, window + 1, 5 * window + 1, 100]
    found = windows.cut(lengths, window, stride)
    for document, length in enumerate(lengths):
        mine = found[found[:, windows.DOCUMENT] == document]
        scored = [token for _, _, new, stop in mine for token in range(new, stop)]
        skipped = set(range(0, length, window)) if stride == window else {0}
        assert scored == [token for token in range(length) if token not in skipped]
        for _, start, new, stop in mine:
            assert start < new < stop <= start + window
            assert start == 0 or stride == window or new - start >= window - stride


def test_a_sample_is_spread_over_the_whole_text() -> None:
    found = windows.cut([1000], 10, 10)
    few = windows.sample(found, 45)
    assert few[:, windows.START].tolist() == [0, 200, 400, 600, 800]
    assert windows.sample(found, None) is found
    assert np.array_equal(windows.sample(found, 10**9), found)


@pytest.mark.parametrize(
    ("window", "stride", "key"), [(1, 1, "--window"), (34, 34, "--window"), (33, 34, "--stride"), (33, 0, "--stride")]
)
def test_windows_that_cannot_be_are_refused(window: int, stride: int, key: str) -> None:
    with pytest.raises(UserError) as error:
        windows.check(window, stride, context=32)
    assert error.value.key == key
    windows.check(33, 33, context=32)
