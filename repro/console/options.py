"""Options of several verbs, and types of options: numbers within bounds; argparse reports others with the option's name and exit code 2."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Option:
    """An option, or a positional argument, that several verbs have: it has one name, one metavar and one meaning in all of them.

    Attributes:
        name: `--seed`; of a positional argument its attribute in the namespace.
        metavar: what stands for its value; None for a flag, and for one of several `choices`.
        meaning: the beginning of its help, without default, semicolon and full stop.
        arguments: further ones of `add_argument`.
    """

    name: str
    metavar: str | None
    meaning: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def add(self, parser: Any, more: str = "", *, default_is: str = "", **arguments: Any) -> None:
        """Adds it to the parser of a verb, or to a group of one.

        Args:
            more: what else is to be said of it here, after a semicolon.
            default_is: what holds without it, where that is no value of `arguments`.
            arguments: of `add_argument`, beside those of all verbs; a `default` that isn't None is said.
        """
        given = {**self.arguments, **arguments}
        said = default_is or ("%(default)s" if given.get("default") not in (None, [], "") else "")
        text = self.meaning + (f"; {more}" if more else "") + (f" (default: {said})" if said else "")
        parser.add_argument(self.name, help=text, **({"metavar": self.metavar} if self.metavar else {}), **given)


def earlier(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Takes the option `new` of a verb by its earlier name, too, which help doesn't show: scripts that use it go on."""
    parser._option_string_actions[old] = parser._option_string_actions[new]


def whole(least: int = 1, most: int = 10**12) -> Callable[[str], int]:
    """Parses a whole number from `least` to `most`; 1e6 and 1_000 are allowed."""

    def parse(text: str) -> int:
        try:
            value = float(text)
            found = int(text) if text.strip().lstrip("+-").replace("_", "").isdecimal() else int(value)
            if found == value and least <= found <= most:
                return found
        except (ValueError, OverflowError):  # not a number, NaN or infinite
            pass
        raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a whole number from {least:,} to {most:,}")

    return parse


def real(what: str, least: float = 0.0, most: float = math.inf, *, open_below: bool = False) -> Callable[[str], float]:
    """Parses a finite number of at least `least` (if `open_below`: above it) and at most `most`.

    Args:
        what: what is expected, for the message: "a price of a GPU-hour".
    """

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value) and least <= value <= most and not (open_below and value == least):
            return value
        raise argparse.ArgumentTypeError(f"{text[:50]!r} is not {what}")

    return parse


TEXT_FILES = ".txt, .json, .jsonl, .json.gz or .parquet"
_TEXT = f"a corpus's folder or a sweep file, of which the held-out split is read, or text files ({TEXT_FILES})"

SWEEP = Option("file", "FILE", "sweep file, in YAML")
RESULTS = Option("results", "RESULTS", "results folder of a sweep, a path or a URI")
MODEL = Option("model", "MODEL", "a model's Hugging Face folder or id")
TEXT = Option("text", "TEXT", _TEXT)
OUT_PLACE = Option("out", "OUT", "where to write")
METHOD = Option("--method", "METHOD", "how it is done")

JSON = Option("--json", None, "print JSON instead of text", {"action": "store_true"})
OUT = Option("--out", "FOLDER", "folder to write to, a path or a URI")
DRY_RUN = Option("--dry-run", None, "say what would be done, and do nothing", {"action": "store_true"})
SEED = Option("--seed", "N", "seed of all that is drawn at random", {"default": 0})
RESULTS_ROOT = Option("--results", "ROOT", "root of the results folders, a path or a URI")
CORPUS_ROOT = Option("--corpus", "ROOT", "root of the corpora, a path or a URI")
ADDRESS = Option("--address", "HEAD:PORT", "address of a Ray cluster")
NODES = Option("--nodes", "N", "number of nodes")
CLUSTER = Option(
    "--cluster", "KEY=VALUE,...",
    "the cluster to plan for, gpus=64,type=h100, with per_node (8 GPUs if not given), max_workers of a run (those of one node) "
    "and memory of a GPU in GB",
)  # fmt: skip
MEASURED = Option(
    "--measured", "FILE",
    'JSON file of measured throughput: {"tokens_per_second": {DEVICE: {SIZE: tokens/s of one worker}}}, and for runs that share a '
    'device "beside": {DEVICE: {SIZE: {"2": their sum}}}',
    {"default": None},
)  # fmt: skip

DEVICE = Option(
    "--device", None, "where to compute; auto takes a GPU if there is one",
    {"choices": ("auto", "cpu", "cuda"), "default": "auto"},
)  # fmt: skip
PRECISION = Option("--precision", None, "precision of the weights", {"choices": ("fp32", "bf16")})
WINDOW = Option("--window", "N", "tokens that the model reads at once")
MAX_TOKENS = Option("--max-tokens", "N", "take about so many tokens, in windows that are spread evenly over the text")
TEXT_OPTION = Option("--text", "TEXT", _TEXT)
TEXT_FIELD = Option(
    "--text-field", "FIELD", "field of JSON lines and Parquet files that holds the text", {"default": "text"}
)
