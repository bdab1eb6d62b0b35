"""The code on the page on the library runs, block after block, in a folder with the tables that it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.analysis import compute
from tests.analysis.points import csv, drawn, grid
from tests.analysis.rate_laws.test_rate_surface import runs
from tests.analysis.recipe_laws.ladders import BASE, ladder
from tests.docs.commands import PAGES


def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    csv(tmp_path, [{"params": r["N"], "tokens": r["D"] / 1e6, "loss": r["loss"]} for r in drawn(*grid())])
    size, flops, _, loss = compute.budgets(compute.HOFFMANN)
    rng = np.random.default_rng(0)
    loss = compute.noisy(loss, 0.003, rng)
    csv(
        tmp_path,
        [{"N": n, "C": c, "loss": own} for n, c, own in zip(size, flops, loss, strict=True)],
        "sweep.csv",
    )
    csv(tmp_path, ladder({"base": BASE, "filtered": (*BASE[:3], 2.0)}, rng), "ladder.csv")
    csv(tmp_path, runs(rng, batches=False), "rates.csv")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGES["library"].read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["fit"].status == "converged"
    assert {file.name for file in tmp_path.iterdir()} >= {"fit.png", "FIT.json", "isoflop.pdf"}
    assert "no such name in this law" in capsys.readouterr().out
