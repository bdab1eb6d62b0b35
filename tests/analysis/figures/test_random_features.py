from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.figures import random_features

pytestmark = pytest.mark.slow


def test_the_command_draws_without_any_table_and_its_numbers_show_the_average_exact_where_nothing_is_zeroed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["random-features", str(tmp_path), "--features", "1000000"]) == 0
    assert str(tmp_path / "random_features.pdf") in capsys.readouterr().out
    assert (tmp_path / "random_features.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "random_features.csv").read_text())))
    assert len(rows) == len(random_features.SPARSITIES) * len(random_features.KINDS) * len(random_features.RATES)
    for sparsity in random_features.SPARSITIES:
        loss = {
            (row["schedule"], row["removal"], row["rates"]): float(row["loss"])
            for row in rows
            if float(row["sparsity"]) == sparsity
        }
        average = loss["constant", "zeroed", "constant"]
        assert loss["rising", "zeroed", "constant"] == pytest.approx(average, rel=0.005)
        assert loss["falling", "frozen", "constant"] == pytest.approx(average, rel=0.005)
        assert loss["falling", "zeroed", "constant"] > (1 + sparsity / 2) * average
        assert loss["rising", "zeroed", "cosine"] > (1 + sparsity / 4) * average


def test_too_few_features_for_the_theory_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["random-features", str(tmp_path), "--features", "5"])
    assert stopped.value.code == 2
    assert "--features" in capsys.readouterr().err
