"""Benchmarks: ratios measured side by side in one run, with hardware and versions. No test asserts a time."""

import json

from repro.training.provenance import provenance


def made_on() -> str:
    """Hardware, versions and commit as a line of JSON, with which what a benchmark prints begins."""
    return json.dumps({name: provenance()[name] for name in ("hardware", "versions", "commit")})
