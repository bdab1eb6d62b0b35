"""A stranger's first hour: what README and docs say, on a bare machine, with the time and the disk of each step.

`python -m tests.docs.first_hour` (as root, with debootstrap) prints them as a table; `--suite trixie` is Debian with Python 3.13.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.docs import bare
from tests.docs.bare import Machine
from tests.docs.commands import PAGES, SOURCES, files

RUN = "4k-10tpp-s80-d25-p50-seed0"
# A table of somebody's own: Chinchilla's form, with its numbers and columns of other names.
SIZES, RATIOS = (1e7, 3e7, 1e8, 3e8, 1e9), (5, 20, 60, 200)
TABLE = "params,tokens,val_loss\n" + "".join(
    f"{n:.0f},{n * r:.0f},{1.69 + 482 / n**0.35 + 2085 / (n * r) ** 0.37:.4f}\n" for n in SIZES for r in RATIOS
)


@dataclass
class Hour:
    """The steps so far. said: command -> what it printed."""

    machine: Machine
    tell: Callable[[str], None] = print
    said: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def step(self, page: str, command: str, *, folder: str = "suite", active: str = "suite/.venv") -> str:
        """Runs a command that stands on a page of docs/ or in the README, and tells how long it took."""
        text = " ".join(SOURCES[page].read_text().replace("\\\n", " ").split())
        assert command in text, f"not on the page {page}: {command}"
        began = time.monotonic()
        done = self.machine.call(*shlex.split(command), folder=folder, active=active)
        self.seconds[command] = time.monotonic() - began
        self.said[command] = done.stdout
        last = (done.stdout.strip().splitlines() or [""])[-1]
        self.tell(f"| {page} | `{command}` | {self.seconds[command] / 60:.1f} | {last.strip()[:100]} |")
        return done.stdout


def walk(hour: Hour) -> None:
    """Figure and verdict, a sweep of three runs on text of one's own, a fit of a table of one's own, and what else there is.

    Raises AssertionError where a step fails.
    """
    on = hour.machine
    hour.tell("| page | command | minutes | last line |\n|---|---|---|---|")
    hour.step("README", "make setup", active="")
    hour.step("README", "make quick", active="")
    hour.step("README", "make help", active="")

    (on.home / "suite" / "notes").mkdir()
    for page, file in PAGES.items():
        (on.home / "suite" / "notes" / f"{page}.txt").write_text(file.read_text())
    for name, text in files("corpus").items():
        (on.home / "suite" / name).write_text(text)
    for command in (
        "python -m repro corpus build own-text.yaml",
        "python -m repro corpus inspect own-text.yaml",
        "python -m sweeps plan own-text.yaml",
        "python -m sweeps run own-text.yaml",
        "python -m analysis report results/own-text",
    ):
        hour.step("corpus", command)

    (on.home / "suite" / "runs.csv").write_text(TABLE)
    hour.step("README", "python3 -m venv fit", active="")
    hour.step("README", "pip install '.[analysis]'", active="suite/fit")
    fit = 'python -m analysis fit runs.csv --formula "E + A/N^alpha + B/D^beta"'
    hour.step("README", f"{fit} --columns N=params,D=tokens,loss=val_loss", active="suite/fit")

    hour.step("evidence", "python -m analysis report docs/evidence/laptop --out laptop-again", active="suite/fit")
    hour.step("sweeps", f"make run RUN={RUN} SWEEP=sweeps/quick.yaml", active="")
    hour.step("README", "make docs", active="")
    hour.step("extending", "make check", active="")


def first_figure(hour: Hour) -> float:
    """Seconds from the beginning of `make setup` until the first figure lay on the disk."""
    done = (hour.machine.home / "suite" / ".venv" / ".done").stat().st_mtime
    drawn = min(file.stat().st_mtime for file in (hour.machine.home / "suite/results/quick/figures").glob("*.png"))
    return hour.seconds["make setup"] + drawn - done


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.docs.first_hour", description=__doc__)
    parser.add_argument("--suite", default="bookworm", help="a release of Debian")
    with bare.machine(parser.parse_args().suite) as machine:
        prepare(machine)
        hour = Hour(machine)
        walk(hour)
        print(f"\nfirst figure after {first_figure(hour) / 60:.1f} minutes")
        for place in ("suite/.venv", "suite/fit", "suite/data", "suite/results/quick", "suite/results/own-text"):
            print(f"{place}: {machine.megabytes(place):.0f} MB")


def prepare(machine: Machine) -> str:
    """Installs what the README says that a bare Debian needs; what `make setup` said before the last of it was there."""
    machine.call("apt-get", "update", "-qq", user="root")
    machine.call("apt-get", "install", "-qq", "--no-install-recommends", "make", "python3", user="root")
    refused = machine.call("make", "setup", folder="suite", check=False)
    assert refused.returncode == 2, refused
    needed = "apt-get install make python3-venv"
    assert needed in SOURCES["README"].read_text()
    machine.call("apt-get", "install", "-qq", "--no-install-recommends", *needed.split()[2:], user="root")
    return refused.stdout


if __name__ == "__main__":
    main()
