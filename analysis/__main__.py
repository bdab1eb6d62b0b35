"""python -m analysis report | figures | claims | lr | fit | compare | predict | simulate: what tables say."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap

from analysis import any_table, claims, data, draw, figures, learning_rates, report
from analysis.claims import Verdict
from analysis.compare import RESAMPLES
from analysis.evidence import Evidence
from repro import tables
from repro.errors import UserError, guarded
from repro.storage import Folder

EXAMPLES = """\
examples:
  python -m analysis report results/laptop                  report.html, claims.json and figures/ in that folder
  python -m analysis report results/laptop --out /tmp/page  the same, written elsewhere
  python -m analysis figures results/laptop                 each figure as .pdf, .png and .csv
  python -m analysis claims results/laptop --json           the verdicts and the numbers behind them
  python -m analysis fit --help                             laws on any table; so compare and predict
  python -m analysis simulate --help                        tables from a known law, to try all of this on
  python -m analysis lr results/laptop-lr                   the best learning rate of each size, to write into a sweep file
"""


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.verb in ("fit", "compare", "predict"):
        return any_table.main(arguments)
    if arguments.verb == "simulate":
        return draw.main(arguments)
    results = Folder.open(arguments.results)
    if arguments.verb == "lr":
        return _learning_rates(results)
    if arguments.bootstrap < 100:
        raise UserError(
            "too few resamples for an interval", key="--bootstrap", found=arguments.bootstrap, expected="at least 100"
        )
    found = Evidence(data.load(results), arguments.bootstrap)
    arguments.run(found, results, arguments)
    return 0


def _report(found: Evidence, results: Folder, arguments: argparse.Namespace) -> None:
    out = Folder.open(arguments.out) if arguments.out else results
    verdicts = claims.judge(found)
    drawn = figures.write_all(found, out / "figures")
    out.write_json("claims.json", claims.as_json(verdicts))
    out.write("report.html", report.render(found, verdicts, drawn).encode())
    _print(verdicts)
    print(f"report: {out}/report.html")


def _figures(found: Evidence, results: Folder, arguments: argparse.Namespace) -> None:
    folder = (Folder.open(arguments.out) if arguments.out else results) / "figures"
    for drawn in figures.write_all(found, folder):
        print(f"{folder}/{drawn.name}.pdf .png .csv")


def _claims(found: Evidence, results: Folder, arguments: argparse.Namespace) -> None:
    verdicts = claims.judge(found)
    if arguments.json:
        print(json.dumps(claims.as_json(verdicts), indent=1))
    else:
        _print(verdicts)


def _learning_rates(results: Folder) -> int:
    for best in learning_rates.best(tables.read(results, "runs.parquet")):
        note = "  # at the edge of the rates tried: the best may lie beyond" if best.at_edge else ""
        print(f"{best.size} {best.budget}: lr {best.lr:.2g}, loss {best.loss:.4f}, {best.tried} rates{note}")
    return 0


def _print(verdicts: tuple[Verdict, ...]) -> None:
    for departure in dict.fromkeys(departure for verdict in verdicts for departure in verdict.departures):
        print(f"NOT THE PAPER'S EXPERIMENT: {departure}")
    print("\n".join(_summary(verdict) for verdict in verdicts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="What the tables of a sweep say: laws, verdicts, figures and one page.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    commands = {}
    for verb, run, text in (
        ("report", _report, "verdicts, figures and report.html"),
        ("figures", _figures, "figures alone"),
        ("claims", _claims, "verdicts alone, printed"),
    ):
        command = commands[verb] = verbs.add_parser(verb, help=text, description=text)
        command.set_defaults(run=run)
        command.add_argument("results", metavar="RESULTS", help="a sweep's results folder, or its URI")
        command.add_argument(
            "--bootstrap", metavar="N", type=int, default=RESAMPLES, help="resamples behind each interval (%(default)s)"
        )
    any_table.add_parsers(verbs)
    draw.add_parser(verbs)
    rates = verbs.add_parser(
        "lr", help="best learning rates", description="The best learning rate of each size and budget of an lr study."
    )
    rates.add_argument("results", metavar="RESULTS", help="results folder of a sweep with an lr study, or its URI")
    for verb in ("report", "figures"):
        commands[verb].add_argument("--out", metavar="DIR", help="where to write (RESULTS)")
    commands["claims"].add_argument("--json", action="store_true", help="every number as JSON")
    return parser


def _summary(verdict: Verdict) -> str:
    """A few lines in the terminal."""
    interval = (
        f" [{report.plain(verdict.interval[0])}, {report.plain(verdict.interval[1])}]" if verdict.interval else ""
    )
    mark = " (not the paper's experiment)" if verdict.departures else ""
    lines = [
        f"({verdict.claim}) {verdict.verdict.upper()}{mark}: {verdict.because}",
        f"measured: {report.plain(verdict.measured)}{interval}  {verdict.quantity}",
        f"paper:    {verdict.paper}",
    ]
    return "\n    ".join(piece for line in lines for piece in textwrap.wrap(line, 116, subsequent_indent="          "))


if __name__ == "__main__":
    sys.exit(main(None))
