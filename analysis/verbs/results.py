"""`python -m analysis report | figures | claims | noise | lr | keep`: what the tables of a sweep's results folder say."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import TYPE_CHECKING, Any

from analysis.findings import RESAMPLES
from analysis.shown import with_ends
from analysis.verbs.shared_options import BOOTSTRAP, WORLDS_OPTION
from repro.console import commands
from repro.console.options import JSON, OUT, OUT_PLACE, RESULTS

if TYPE_CHECKING:
    from analysis.claims import Verdict
    from analysis.findings.evidence import Evidence
    from repro.store.folder import Folder


REPORT = (
    ("docs/evidence/laptop --out page", "from tables that are kept, into another folder"),
    ("docs/evidence/laptop --out page --worlds 0", "faster, without error rates"),
)
FIGURES = (
    ("docs/evidence/laptop --out page", "each as .pdf, .png and .csv, in page/figures"),
    ("docs/evidence/laptop --out page --bootstrap 200", "faster, with rougher intervals"),
)
CLAIMS = (
    ("docs/evidence/laptop", "a verdict on each claim, and why"),
    ("docs/evidence/laptop --json", "with all numbers behind them, for a program"),
)
NOISE = (
    ("docs/evidence/laptop", "by configuration, and how far dense runs are from their law"),
    ("docs/evidence/laptop --json", "for a program"),
)
LR = (
    ("docs/evidence/lr-sparse", "the best rates, to write into a sweep file"),
    ("docs/evidence/lr-sparse --json", "for a program"),
)
KEEP = (
    ("docs/evidence/laptop evidence/laptop", "under 1 MB of tables, on which `report` works again"),
    ("s3://bucket/results/paper evidence/paper", "from a store"),
)


def add_parser(verbs: Any) -> None:
    """Adds the six verbs to an `argparse` command."""
    report = commands.add(
        verbs,
        "report",
        "Judges the claims and draws the figures from a sweep's tables, and writes report.html.",
        REPORT,
    )
    figures = commands.add(verbs, "figures", "Draws the figures from a sweep's tables.", FIGURES)
    claims = commands.add(
        verbs, "claims",
        "Judges the claims from a sweep's tables and prints the verdicts, with the error rates of the rules where `report` or "
        "`power` kept those of the same runs.",
        CLAIMS,
    )  # fmt: skip
    noise = commands.add(
        verbs,
        "noise",
        "Measures by how much runs differ by their seed alone, and how well dense runs follow the law.",
        NOISE,
    )
    rates = commands.add(
        verbs, "lr", "Finds the best learning rate of each kind of run in a sweep with a study of learning rates.", LR
    )
    kept = commands.add(
        verbs, "keep",
        "Copies a sweep's tables, verdicts and figures, after its report, as evidence that is small enough for a repository.",
        KEEP,
    )  # fmt: skip
    for command, main in (
        (report, _report), (figures, _figures), (claims, _claims), (noise, _noise), (rates, _learning_rates), (kept, _keep)
    ):  # fmt: skip
        RESULTS.add(command)
        command.set_defaults(main=main)
    for command in (report, figures):
        OUT.add(command, default_is="RESULTS")
    for command in (report, figures, claims):
        BOOTSTRAP.add(command, default=RESAMPLES)
    WORLDS_OPTION.add(report, "0 leaves them out")
    for command in (claims, noise, rates):
        JSON.add(command)
    OUT_PLACE.add(kept, "a folder, a path or a URI")


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
    from analysis.report import card, page
    from analysis.tables import post_training
    from analysis.tables.data import has_post_training
    from repro.store.folder import Folder

    found, results = _evidence(given)
    out = Folder.open(given.out) if given.out else results
    power = asked.of_sweep(found.tables, results, out, given.worlds)
    verdicts = error_rates.hold(claims.judge(found), power)
    drawn = figures.write_all(found, out / "figures")
    (out / "figures").write(card.FILE, card.text(found.tables, drawn).encode())
    out.write_json("claims.json", claims.as_json(verdicts))
    out.write_json(noise_summary.FILE, noise_summary.summarise(found.tables))
    if unification_map.has_map(found.tables):
        out.write(unification_map.FILE, figures.as_csv([cell.row for cell in found.chart.cells]))
    if has_post_training(found.tables):
        out.write(post_training.FILE, figures.as_csv(list(post_training.published(found.post_training.points))))
    out.write("report.html", page.render(found, verdicts, drawn, power).encode())
    _print(verdicts)
    print(f"report: {out}/report.html")
    return 0


def _figures(given: argparse.Namespace) -> int:
    from analysis import figures
    from analysis.report import card
    from repro.store.folder import Folder

    found, results = _evidence(given)
    folder = (Folder.open(given.out) if given.out else results) / "figures"
    drawn = figures.write_all(found, folder)
    folder.write(card.FILE, card.text(found.tables, drawn).encode())
    for one in drawn:
        print(f"{folder}/{one.name}.pdf .png .csv")
    print(f"{folder}/{card.FILE}: what each file and column is, and how they were made")
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

    out = Folder.open(given.out)
    for line in keep.keep(Folder.open(given.results), out):
        print(f"{out}/{line}")
    return 0


def _print(verdicts: tuple[Verdict, ...]) -> None:
    for departure in dict.fromkeys(departure for verdict in verdicts for departure in verdict.departures):
        print(f"NOT THE PAPER'S EXPERIMENT: {departure}")
    print("\n".join(_summary(verdict) for verdict in verdicts))


def _summary(verdict: Verdict) -> str:
    """A few lines in the terminal."""
    mark = " (not the paper's experiment)" if verdict.departures else ""
    lines = [
        f"({verdict.claim}) {verdict.verdict.upper()}{mark}: {verdict.because}",
        f"measured: {with_ends(verdict.measured, verdict.interval)}  {verdict.quantity}",
        f"paper:    {verdict.paper}",
        f"errors:   {verdict.rates.said}" if verdict.rates else "",
    ]
    return "\n    ".join(piece for line in lines for piece in textwrap.wrap(line, 116, subsequent_indent="          "))
