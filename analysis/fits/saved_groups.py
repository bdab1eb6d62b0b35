"""A file of several groups' fits, as `fit --by COLUMN --json` prints it: which of them is meant."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.fits import saved_fit
from analysis.fits.saved_fit import WANTED, SavedFit
from analysis.tables.cell_table import listed
from repro.errors import UserError


def choose(file: str, words: Sequence[str]) -> tuple[SavedFit, list[str]]:
    """The fit of a file, and the NAME=VALUE words that are left: of several groups' fits a word COLUMN=LABEL says which.

    Raises:
        UserError: see `saved_fit.load`; a file of groups of which no word, or several, or one of another label chooses.
    """
    saved = saved_fit.parsed(file)
    if not isinstance(saved, list):
        return saved_fit.checked(file, saved), list(words)
    groups = {}
    for one in saved:
        if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in ("by", "group")):
            raise UserError("not a saved fit", file=file, found="a list", expected=WANTED)
        groups[one["group"]] = one
    columns = {one["by"] for one in saved}
    if len(columns) != 1 or len(groups) < len(saved):
        raise UserError("not a saved fit", file=file, found="groups by several columns, or one twice", expected=WANTED)
    [by] = columns
    chosen = [word.partition("=")[2].strip() for word in words if word.partition("=")[0].strip() == by]
    if len(chosen) != 1:
        raise UserError(
            "fits of several groups", file=file, key=by, found=", ".join(chosen) or "no group", expected=f"{by}=LABEL once: {listed(list(groups))}"
        )  # fmt: skip
    if chosen[0] not in groups:
        raise UserError(
            "no such group", file=file, key=by, found=chosen[0] or "nothing", expected=listed(list(groups), like=chosen[0])
        )  # fmt: skip
    left = [word for word in words if word.partition("=")[0].strip() != by]
    return saved_fit.checked(file, groups[chosen[0]]), left
