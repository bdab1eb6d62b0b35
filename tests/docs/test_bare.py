"""On a bare machine only what README and docs name is needed. `make test-system` installs debootstrap."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator

import pytest

from tests.docs import bare, first_hour
from tests.docs.bare import Machine
from tests.docs.first_hour import Hour

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not all(map(shutil.which, bare.NEEDED)) or os.geteuid() != 0,
        reason="no debootstrap here, or no root; make test-system installs it",
    ),
]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with bare.machine() as made:
        yield made


def test_only_by_the_readme_to_figure_verdict_sweep_and_fit(machine: Machine) -> None:
    assert "apt-get install python3-venv" in first_hour.prepare(machine)
    hour = Hour(machine)
    first_hour.walk(hour)
    suite = machine.home / "suite"
    quick, own = suite / "results" / "quick", suite / "results" / "own-text"
    assert "20 of 20 runs done" in hour.said["make quick"]
    assert "(b) " in hour.said["make quick"]
    assert hour.said["make quick"].splitlines()[-1] == "report: results/quick/report.html"
    assert (quick / "report.html").stat().st_size > 1e5
    assert (quick / "figures" / "fig3_law.png").stat().st_size > 1e4
    assert "3 of 3 runs done" in hour.said["python -m sweeps run own-text.yaml"]
    assert len(json.loads((own / "claims.json").read_text())) > 5
    [fit] = [said for command, said in hour.said.items() if "analysis fit" in command]
    assert "converged" in fit
    assert not (suite / "fit" / "lib" / "python3.11" / "site-packages" / "torch").exists()
    assert (suite / "laptop-again" / "report.html").stat().st_size > 1e5
    assert (suite / "site" / "index.html").exists()
    assert "licences: those allowed" in hour.said["make check"]


def test_the_further_texts_are_installed(machine: Machine) -> None:
    machine.call("make", "text", folder="suite")
    assert list((machine.home / "suite" / ".venv" / "lib").glob("python3*/site-packages/googleapiclient"))
