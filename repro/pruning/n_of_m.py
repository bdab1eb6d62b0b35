"""N:M, a structure of zeros: of every M neighbouring weights in a row, N are left. No torch."""

from __future__ import annotations

import re

from repro.errors import UserError


def n_of_m(structure: str) -> tuple[int, int] | None:
    """(N, M) of a structure; None of "unstructured".

    Raises:
        UserError: it is neither.
    """
    if structure == "unstructured":
        return None
    found = re.fullmatch(r"(\d+):(\d+)", structure)
    n, m = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= n < m <= 64:
        raise UserError(
            "no such structure",
            key="structure",
            found=structure,
            expected='"unstructured", or "N:M" with 1 <= N < M <= 64, for example "2:4"',
        )
    return n, m
