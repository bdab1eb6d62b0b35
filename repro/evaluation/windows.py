"""Windows: the tokens that a model reads at once, and those of them that are scored, each at most once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from repro.errors import UserError

if TYPE_CHECKING:
    from repro.evaluation.models import Model
    from repro.evaluation.texts import Text

DOCUMENT, START, NEW, STOP = range(4)  # columns of `cut`


@dataclass(frozen=True)
class Windows:
    """Windows of a text: `cut`, (windows, 4), of at most `window` tokens, `stride` apart."""

    cut: np.ndarray
    window: int
    stride: int


def of_text(
    text: Text, model: Model, *, window: int | None = None, stride: int | None = None, tokens: int | None = None
) -> Windows:
    """The windows in which a model reads a text, disjoint and as long as a row of its corpus unless others are asked for.

    Args:
        text: one without rows is read in windows of the model's context.
        window, stride: as asked for by the options; None: the default.
        tokens: about how many tokens to score, in evenly spread windows; None: all.

    Raises:
        UserError: no window is known, or it is out of range.
    """
    window = text.row or model.context if window is None else window
    if window is None:
        raise UserError("the model's context length is unknown", file=model.name, expected="--window N")
    stride = window if stride is None else stride
    check(window, stride, model.context)
    return Windows(sample(cut([len(ids) for ids in text.documents], window, stride), tokens), window, stride)


def cut(lengths: Sequence[int], window: int, stride: int) -> np.ndarray:
    """The windows of documents, in order: (windows, 4) of document, start, new, stop.

    A window is the tokens [start, stop) of one document, of which [new, stop) are scored: those that no earlier window
    has scored. A token is predicted from the earlier tokens in its window, so a window's first token isn't scored in
    it: with stride < window an earlier window has scored it, with stride == window (disjoint) none does.
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
        expected = f"1 to {window}, the window (disjoint)"
        raise UserError("stride out of range", key="--stride", found=stride, expected=expected)
