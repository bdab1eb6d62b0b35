"""Benchmarks: ratios measured side by side in one run, with hardware and versions. No test asserts a time."""

import argparse
import json
import random
import time
from collections.abc import Callable, Mapping

from repro.training.provenance import provenance

Step = Callable[[int], None]  # takes the number of the step, makes it


def parser(text: str | None) -> argparse.ArgumentParser:
    """The parser of a benchmark, whose help begins with its docstring as it stands."""
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def made_on() -> str:
    """Hardware, versions and commit as a line of JSON, with which what a benchmark prints begins."""
    return json.dumps({name: provenance()[name] for name in ("hardware", "versions", "commit")})


def interleaved(
    steps: Mapping[str, Step], warm: int, rounds: int, settle: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """ms of each timed step of each variant; the n-th entries are of one round, whose order is random."""
    seen: dict[str, list[float]] = {name: [] for name in steps}
    shuffled = random.Random(0)
    for number in range(warm + rounds):
        for name in shuffled.sample(list(steps), len(steps)):
            settle()
            began = time.perf_counter()
            steps[name](number)
            settle()
            seen[name].append(1e3 * (time.perf_counter() - began))
    return {name: values[warm:] for name, values in seen.items()}
