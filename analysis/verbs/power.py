"""`python -m analysis power`: how often each claim's rule errs with a sweep's runs and noise."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from analysis.verbs.shared_options import PARAMETERS, SIGMA, WORLDS_OPTION
from repro.console import commands
from repro.console.options import JSON, RESULTS, earlier, real

if TYPE_CHECKING:
    from analysis.power.error_rates import Power

EXAMPLES = (
    ("docs/evidence/laptop", "a sweep, with its own noise; kept in power.json for `report`"),
    ("planned --sigma 0.006", "a sweep that isn't trained yet, of which `sweeps expand --out planned` wrote the table"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb power."""
    command = commands.add(
        verbs, "power",
        "Counts how often each claim's rule confirms and rejects the claim in simulated sweeps, of these runs and this noise, in "
        "which it is known whether the claim is true.",
        EXAMPLES,
    )  # fmt: skip
    RESULTS.add(command, "or what `sweeps expand --out` wrote")
    WORLDS_OPTION.add(command)
    SIGMA.add(
        command, "their noise is then drawn from a normal distribution", type=real("a standard deviation in nats", 0, 10),
        default_is="as the runs of this sweep differ by their seeds",
    )  # fmt: skip
    earlier(command, "--noise", "--sigma")
    command.add_argument(
        "--like",
        metavar="RESULTS",
        help="results folder whose noise and dense law are taken (default: this sweep's own)",
    )
    PARAMETERS.add(
        command,
        "it is E + A/N_avg^alpha + B/D^beta",
        default_is="fitted to this sweep, or the usual ones where it isn't trained",
    )
    command.add_argument(
        "--needs",
        action="store_true",
        help="also say what claims that are rarely confirmed when true would need: more seeds, or less noise",
    )
    JSON.add(command)
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Draws worlds, or reads what was drawn before, and prints the rates. Returns the exit code."""
    from analysis.power import asked, more_seeds

    found = asked.find(given)
    if not given.json:
        print("\n".join(_lines(found.power)), flush=True)
    needs = []
    if given.needs and found.theta is not None and found.noise is not None and not found.power.reason:
        for line in more_seeds.needed(found.tables, found.theta, found.noise, found.power, misfit=found.misfit):
            needs.append(line)
            if not given.json:
                print(line, flush=True)
    if given.json:
        print(json.dumps(dataclasses.asdict(found.power) | ({"needs": needs} if given.needs else {}), indent=1))
    return 0


def _lines(found: Power) -> list[str]:
    if found.reason:
        return [f"no worlds to draw: {found.reason}"]
    rows = [
        [
            "claim",
            "true: reproduced",
            "not reproduced",
            "false: reproduced",
            *(f"{law}: yes / no" for law in found.laws),
        ]
    ]
    for name, claim in found.claims.items():
        laws = [own.get(name) for own in found.laws.values()]
        rows.append([
            f"({name})",
            claim.true.said(claim.true.reproduced),
            claim.true.said(claim.true.not_reproduced),
            claim.false.said(claim.false.reproduced),
            *(f"{own.share(own.reproduced):.0%} / {own.share(own.not_reproduced):.0%}" if own else "" for own in laws),
        ])  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{found.worlds} worlds of each truth, {found.resamples} resamples; truth: {found.truth}",
        f"noise: {found.noise}",
    ]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for name, claim in found.claims.items():
        lines += [f"({name}) true: {claim.when_true}", f"    false: {claim.when_false}"]
    return lines
