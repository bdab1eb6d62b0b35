"""Windows: the tokens that a model reads at once, and those of them that are scored, each at most once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repro.errors import UserError

DOCUMENT, START, NEW, STOP = range(4)  # columns of `cut`


def cut(lengths: Sequence[int], window: int, stride: int) -> np.ndarray:
    """The windows of documents, in order: (windows, 4) of document, start, new, stop.

    A window is the tokens [start, stop) of one document, of which [new, stop) are scored: those that no earlier window
    has scored. A token is predicted from the earlier tokens in its window, so a window's first token isn't scored in
    it: with stride < window an earlier window has scored it, with stride == window (disjoint) none does.

    Args:
        lengths: tokens of each document.
        window: maximum tokens of a window.
        stride: tokens between the starts of two windows of a document.
    """
    rows = []
    for document, length in enumerate(lengths):
        done = 0
        for start in range(0, length, stride):
            stop = min(start + window, length)
            new = max(done, start + 1)
            if new < stop:
                rows.append((document, start, new, stop))
            done = stop
            if stop == length:
                break
    return np.array(rows, np.int64).reshape(-1, 4)


def sample(windows: np.ndarray, tokens: int | None) -> np.ndarray:
    """Evenly spread windows that score about `tokens` tokens; None: all windows."""
    if tokens is None or not len(windows):
        return windows
    scored = (windows[:, STOP] - windows[:, NEW]).sum()
    wanted = min(len(windows), max(1, round(tokens * len(windows) / scored)))
    return windows[np.arange(wanted) * len(windows) // wanted]


def check(window: int, stride: int, context: int | None) -> None:
    """Checks window and stride. `context`: the model's context length; a window's last token is only predicted."""
    if window < 2 or (context is not None and window > context + 1):
        most = "" if context is None else f" to {context + 1:,}, the model's context and the token after it"
        raise UserError("window out of range", key="--window", found=window, expected=f"2{most or ' or more'}")
    if not 1 <= stride <= window:
        raise UserError(
            "stride out of range",
            key="--stride",
            found=stride,
            expected=f"1 to {window}, the window (disjoint)",
        )
