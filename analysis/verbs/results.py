"""`python -m analysis report | figures | claims | noise | lr | keep`: what the tables of a sweep's results folder say."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import TYPE_CHECKING, Any

from analysis.findings import RESAMPLES
from analysis.power import WORLDS
from analysis.shown import plain

if TYPE_CHECKING:
    from analysis.claims import Verdict
    from analysis.findings.evidence import Evidence
    from repro.store.folder import Folder


def add_parser(verbs: Any) -> None:
    """Adds the six verbs to an `argparse` command."""
    commands = {}
    for verb, main, text in (
        ("report", _report, "Verdicts, figures and report.html."),
        ("figures", _figures, "Figures alone."),
        (
            "claims",
            _claims,
            "Verdicts alone, printed; with the error rates that `report` or `power` kept, if these are of the same runs.",
        ),
    ):
        command = commands[verb] = verbs.add_parser(verb, description=text)
        command.set_defaults(main=main)
        command.add_argument("results", metavar="RESULTS", help="a sweep's results folder, or its URI")
        command.add_argument(
            "--bootstrap", metavar="N", type=int, default=RESAMPLES, help="resamples behind each interval (%(default)s)"
        )
    for verb in ("report", "figures"):
        commands[verb].add_argument("--out", metavar="DIR", help="where to write (RESULTS)")
    commands["report"].add_argument(
        "--worlds",
        metavar="N",
        type=int,
        default=WORLDS,
        help="worlds behind each error rate of a rule (%(default)s; 40 at most for claims p1 to p8); 0: none",
    )
    commands["claims"].add_argument("--json", action="store_true", help="every number as JSON")
    noise = verbs.add_parser(
        "noise", description="By how much runs differ by their seed alone, and what dense runs follow."
    )
    noise.add_argument("results", metavar="RESULTS", help="a sweep's results folder, or its URI")
    noise.add_argument("--json", action="store_true", help="what `report` writes into noise.json")
    noise.set_defaults(main=_noise)
    rates = verbs.add_parser("lr", description="The best learning rate of each kind of run of an lr study.")
    rates.add_argument("results", metavar="RESULTS", help="results folder of a sweep with an lr study, or its URI")
    rates.add_argument("--json", action="store_true", help="every number as JSON")
    rates.set_defaults(main=_learning_rates)
    kept = verbs.add_parser(
        "keep", description="Tables, verdicts and figures of a sweep as evidence, under 1 MB of tables."
    )
    kept.add_argument("results", metavar="RESULTS", help="a results folder that `report` was run on, or its URI")
    kept.add_argument("folder", metavar="FOLDER", help="where to: docs/evidence/NAME, on which `report` works again")
    kept.set_defaults(main=_keep)


def _evidence(given: argparse.Namespace) -> tuple[Evidence, Folder]:
    from analysis.findings.evidence import Evidence
    from analysis.fits import outcome
    from analysis.tables import data
    from repro.store.folder import Folder

    outcome.enough_resamples(given.bootstrap)
    results = Folder.open(given.results)
    return Evidence(data.load(results), given.bootstrap), results


def _report(given: argparse.Namespace) -> int:
    from analysis import claims, figures
    from analysis.findings import unification_map
    from analysis.noise import noise_summary
    from analysis.power import asked, error_rates
    from analysis.report import page
    from analysis.tables import post_training
    from repro.store.folder import Folder

    found, results = _evidence(given)
    out = Folder.open(given.out) if given.out else results
    power = asked.of_sweep(found.tables, results, out, given.worlds)
    verdicts = error_rates.hold(claims.judge(found), power)
    drawn = figures.write_all(found, out / "figures")
    out.write_json("claims.json", claims.as_json(verdicts))
    out.write_json(noise_summary.FILE, noise_summary.summarise(found.tables))
    if unification_map.has_map(found.tables):
        out.write(unification_map.FILE, figures.as_csv([cell.row for cell in found.chart.cells]))
    if post_training.has_post_training(found.tables):
        out.write(post_training.FILE, figures.as_csv(list(post_training.published(found.post_training.points))))
    out.write("report.html", page.render(found, verdicts, drawn, power).encode())
    _print(verdicts)
    print(f"report: {out}/report.html")
    return 0


def _figures(given: argparse.Namespace) -> int:
    from analysis import figures
    from repro.store.folder import Folder

    found, results = _evidence(given)
    folder = (Folder.open(given.out) if given.out else results) / "figures"
    for drawn in figures.write_all(found, folder):
        print(f"{folder}/{drawn.name}.pdf .png .csv")
    return 0


def _claims(given: argparse.Namespace) -> int:
    from analysis import claims
    from analysis.power import asked, error_rates

    found, results = _evidence(given)
    verdicts = error_rates.hold(claims.judge(found), asked.kept(found.tables, results))
    if given.json:
        print(json.dumps(claims.as_json(verdicts), indent=1))
    else:
        _print(verdicts)
    return 0


def _noise(given: argparse.Namespace) -> int:
    from analysis.noise import noise_summary
    from analysis.tables import data
    from repro.store.folder import Folder

    found = noise_summary.summarise(data.load(Folder.open(given.results)))
    print(json.dumps(found, indent=1) if given.json else "\n".join(noise_summary.lines(found)))
    return 0


def _learning_rates(given: argparse.Namespace) -> int:
    from analysis.rate_laws import learning_rates, rate_law
    from repro import tables
    from repro.store.folder import Folder

    rates = learning_rates.find(tables.read(Folder.open(given.results), "runs.parquet", "runs"))
    print(json.dumps(rate_law.as_json(rates), indent=1) if given.json else "\n".join(rate_law.lines(rates)))
    return 0


def _keep(given: argparse.Namespace) -> int:
    from analysis.verbs import keep
    from repro.store.folder import Folder

    out = Folder.open(given.folder)
    for line in keep.keep(Folder.open(given.results), out):
        print(f"{out}/{line}")
    return 0


def _print(verdicts: tuple[Verdict, ...]) -> None:
    for departure in dict.fromkeys(departure for verdict in verdicts for departure in verdict.departures):
        print(f"NOT THE PAPER'S EXPERIMENT: {departure}")
    print("\n".join(_summary(verdict) for verdict in verdicts))


def _summary(verdict: Verdict) -> str:
    """A few lines in the terminal."""
    interval = f" [{plain(verdict.interval[0])}, {plain(verdict.interval[1])}]" if verdict.interval else ""
    mark = " (not the paper's experiment)" if verdict.departures else ""
    lines = [
        f"({verdict.claim}) {verdict.verdict.upper()}{mark}: {verdict.because}",
        f"measured: {plain(verdict.measured)}{interval}  {verdict.quantity}",
        f"paper:    {verdict.paper}",
        f"errors:   {verdict.rates.said}" if verdict.rates else "",
    ]
    return "\n    ".join(piece for line in lines for piece in textwrap.wrap(line, 116, subsequent_indent="          "))
