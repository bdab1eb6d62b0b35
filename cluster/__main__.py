"""`python -m cluster submit | logs | stop | fetch`: a sweep on a Ray cluster."""

from __future__ import annotations

import argparse
import sys

from cluster import fetch, jobs
from repro.errors import guarded


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster",
        description="A sweep on a Ray cluster.",
        epilog=jobs.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    jobs.add_parsers(verbs)
    fetch.add_parser(verbs)
    given = parser.parse_args(argv)
    return given.run(given)


if __name__ == "__main__":
    sys.exit(main())
