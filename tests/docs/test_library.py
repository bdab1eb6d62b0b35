"""The code on the page on the library runs, block after block, in a folder with the two tables that it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.analysis import compute
from tests.analysis.points import csv, drawn, grid
from tests.docs.commands import PAGES


def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    csv(tmp_path, [{"params": r["N"], "tokens": r["D"] / 1e6, "loss": r["loss"]} for r in drawn(*grid())])
    size, flops, _, loss = compute.budgets(compute.HOFFMANN)
    loss = compute.noisy(loss, 0.003, np.random.default_rng(0))
    csv(
        tmp_path,
        [{"N": n, "C": c, "loss": own} for n, c, own in zip(size, flops, loss, strict=True)],
        "sweep.csv",
    )
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGES["library"].read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["fit"].status == "converged"
    assert {file.name for file in tmp_path.iterdir()} >= {"fit.png", "FIT.json", "isoflop.pdf"}
    assert "no such name in this law" in capsys.readouterr().out
