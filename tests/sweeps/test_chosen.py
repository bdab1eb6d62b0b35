"""Some runs of a sweep, with those that they start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import UserError
from sweeps.__main__ import main
from sweeps.grid import expand
from sweeps.parents import with_parents

SWEEPS = Path(__file__).parents[2] / "sweeps"
GROWN = "24k-grow-depth-stack-x2-60tpp-after50-seed1"
FORK = "45k-short-s80-d50-p25-seed0"


def test_a_run_needs_the_run_whose_weights_it_starts_from() -> None:
    assert with_parents(expand(SWEEPS / "arrow.yaml"), [GROWN]) == {GROWN, "24k-60tpp-first50-seed1"}


def test_a_run_needs_the_run_whose_beginning_it_shares() -> None:
    found = with_parents(expand(SWEEPS / "laptop-prefix.yaml"), [FORK])
    assert found == {FORK, "45k-short-s00-seed0"}


def test_without_a_choice_it_is_every_run() -> None:
    sweep = expand(SWEEPS / "quick.yaml")
    assert with_parents(sweep, []) == {run.spec.run_id for run in sweep.runs}


def test_an_unknown_id_is_refused_with_those_that_look_like_it() -> None:
    with pytest.raises(UserError, match="no such run in this sweep") as error:
        with_parents(expand(SWEEPS / "arrow.yaml"), [GROWN.replace("stack", "stock")])
    assert GROWN in str(error.value.expected)


def test_a_dry_run_lists_the_chosen_and_what_they_start_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["run", str(SWEEPS / "arrow.yaml"), "--results", str(tmp_path), "--dry-run", "--only", GROWN]
    assert main(call) == 0
    first, *runs = capsys.readouterr().out.splitlines()
    assert first.startswith(f"arrow: 2 of {len(expand(SWEEPS / 'arrow.yaml').runs)} runs to train")
    assert {line.split()[0] for line in runs} == {GROWN, "24k-60tpp-first50-seed1"}
