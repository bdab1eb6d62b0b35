"""`python -m analysis power`: how often each claim's rule errs with a sweep's runs and noise."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from analysis.power import WORLDS
from repro.console.options import real

if TYPE_CHECKING:
    from analysis.power.error_rates import Power

EXAMPLES = """\
examples:
  python -m analysis power results/laptop                   with this sweep's noise; kept in power.json for `report`
  python -m sweeps expand my.yaml --table /tmp/planned      a sweep that nobody has trained yet; then
  python -m analysis power /tmp/planned --noise 0.006       with seeds' noise of that sd, drawn from a normal distribution
  python -m analysis power /tmp/planned --like results/pilot
                                                            with the noise and the dense law of another sweep
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb power."""
    command = verbs.add_parser(
        "power",
        description="How often each claim's rule says what, where the truth is known: worlds with this sweep's runs and noise.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("results", metavar="RESULTS", help="results folder, or what `sweeps expand --table` wrote")
    command.add_argument(
        "--worlds",
        type=int,
        metavar="N",
        default=WORLDS,
        help="of each truth (%(default)s; 40 at most for claims p1 to p8)",
    )
    command.add_argument(
        "--noise", type=real("a standard deviation in nats", 0, 10), metavar="NATS", help="sd over seeds"
    )
    command.add_argument("--like", metavar="RESULTS", help="results folder whose noise and dense law are taken")
    command.add_argument("--parameters", metavar="E=…,A=…", help="of the truth E + A/N_avg^alpha + B/D^beta")
    command.add_argument(
        "--needs", action="store_true", help="also what claims of little power need: seeds, or less noise"
    )
    command.add_argument("--json", action="store_true", help="every number as JSON")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Draws worlds, or reads what was drawn before, and prints the rates. Returns the exit code."""
    from analysis.power import asked, more_seeds
    from analysis.power.power_file import as_json

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
        print(json.dumps(as_json(found.power) | ({"needs": needs} if given.needs else {}), indent=1))
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
