"""Benchmarks: ratios measured side by side in one run, with hardware and versions. No test asserts a time."""

import argparse
import json

from repro.training.provenance import provenance


def parser(text: str | None) -> argparse.ArgumentParser:
    """The parser of a benchmark, whose help begins with its docstring as it stands."""
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def made_on() -> str:
    """Hardware, versions and commit as a line of JSON, with which what a benchmark prints begins."""
    return json.dumps({name: provenance()[name] for name in ("hardware", "versions", "commit")})
