"""`python -m repro evaluate`: evaluates any model on any text, and on tasks of lm-evaluation-harness."""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from repro.bounds import within
from repro.console import commands, options
from repro.errors import UserError
from repro.paths import expand
from repro.verbs import RUN

if TYPE_CHECKING:
    from repro.corpus import Corpus
    from repro.corpus.files import FilesSource
    from repro.evaluation.models import Model
    from repro.store.folder import Folder

MOST = 10**12  # tokens, windows or questions
Rows = list[dict[str, Any]]

EXAMPLES = (
    (f"{RUN} sweeps/quick.yaml", "on the held-out split of a sweep's text"),
    (f"{RUN} 'notes/*.txt' --stride 16 --max-tokens 5000", "on a part of some files, in windows that overlap"),
)


def add_parser(verbs: Any) -> None:
    parser = commands.add(
        verbs, "evaluate",
        "Takes the held-out loss (nats a token), perplexity and bits a byte of a model on any text, and its scores on tasks of "
        "lm-evaluation-harness, with standard errors. What it finds of a run is saved in the run's folder and in the tables of "
        "its sweep.",
        EXAMPLES,
    )  # fmt: skip
    options.MODEL.add(parser, "or a run's folder")
    options.TEXT.add(parser, "it may be left out where --tasks is given", nargs="?")
    options.WINDOW.add(parser, type=int, default_is="a row of the corpus, else the model's context length")
    parser.add_argument(
        "--stride",
        type=int,
        metavar="N",
        help="tokens from one window to the next (default: the window, so that none overlap)",
    )
    options.MAX_TOKENS.add(parser, type=int, default_is="all of the text")
    options.TEXT_FIELD.add(parser)
    parser.add_argument("--tasks", metavar="NAME,...", help="tasks of lm-evaluation-harness (default: none)")
    parser.add_argument(
        "--tasks-path", metavar="FOLDER",
        help="folder of further tasks; the Python functions that they name are run (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--fewshot", type=int, metavar="N", help="examples before each question (default: what the task says)"
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="take only the first N questions of each task (default: all)"
    )
    options.PRECISION.add(parser, default_is="the model's own")
    options.DEVICE.add(parser)
    options.CORPUS_ROOT.add(
        parser, "a run's own corpus is sought there, for its tokenizer", default_is="the sweep file's, else data"
    )
    options.earlier(parser, "--corpora", "--corpus")
    options.OUT.add(parser, default_is="a run's own folder; for another model none")
    options.JSON.add(parser)
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Evaluates a model; returns the exit code."""
    _check(given)
    from repro.evaluation import harness, models, texts
    from repro.resources import Resources
    from repro.store.folder import Folder
    from repro.training.distributed import device_of

    progress = partial(print, file=sys.stderr)
    names = [name for name in (given.tasks or "").split(",") if name]
    if names:
        harness.require()
    source = texts.find(given.text, given.text_field, given.corpus, progress) if given.text else None
    device = device_of(Resources(device=given.device))
    model = models.load(given.model, given.precision, device, given.corpus or "data", source)
    place = Folder.open(given.out, key="--out") if given.out is not None else model.folder
    if place is not None:
        place.check_writable(key="--out")  # before the evaluation
    found = {
        "evaluations": [] if source is None else [_perplexity(model, source, given)],
        "tasks": harness.scores(model, names, given.tasks_path, given.fewshot, given.limit) if names else [],
    }
    _keep(model, found, place)
    if given.json:
        print(json.dumps(found, allow_nan=False))
        return 0
    for row in found["evaluations"]:
        print("\n".join(_described(row)))
    for row in found["tasks"]:
        error = "" if row["value_se"] is None else f" ± {row['value_se']:.4f}"
        print(f"{row['task']}: {row['metric']} ({row['filter']}) {row['value']:.4f}{error}, {row['samples']} questions")
    print(f"kept in {place}" if place else "kept nowhere: --out FOLDER keeps it")
    return 0


def _check(given: argparse.Namespace) -> None:
    if not given.text and not given.tasks:
        raise UserError("nothing to evaluate on", found="neither TEXT nor --tasks", expected="at least one of the two")
    for key, least in (("max_tokens", 1), ("limit", 1), ("fewshot", 0), ("window", 2), ("stride", 1)):
        within(f"--{key.replace('_', '-')}", getattr(given, key), least, MOST)
    given.model = expand(given.model, key="MODEL")
    if given.tasks_path is not None:
        given.tasks_path = expand(given.tasks_path, key="--tasks-path")
    if given.tasks_path is not None and not os.path.isdir(given.tasks_path):
        raise UserError("no such folder of tasks", file=given.tasks_path, key="--tasks-path")


def _perplexity(model: Model, source: Corpus | FilesSource, given: argparse.Namespace) -> dict[str, Any]:
    """A row of the evaluations table."""
    from repro.evaluation import scores, texts, windows

    text = texts.read(source, model.reader)
    read = windows.of_text(text, model, window=given.window, stride=given.stride, tokens=given.max_tokens)
    return {
        **model.columns(),
        "corpus": text.name,
        "corpus_hash": text.hash,
        "packing": text.packing,
        "windowing": "disjoint" if read.stride == read.window else "sliding",
        "window": read.window,
        "stride": read.stride,
        **scores.summary(model.network, text, read.cut),
    }


def _keep(model: Model, found: dict[str, Rows], place: Folder | None) -> None:
    """Adds the rows to the tables of a folder, if given, and of the run's sweep."""
    from repro import tables
    from repro.store.folder import Folder

    if place is None:
        return
    for table in ("evaluations", "tasks"):
        if found[table]:
            tables.add(place, table, found[table])
    runs = Folder(place.filesystem, os.path.dirname(place.path.rstrip("/")))
    sweep = Folder(place.filesystem, os.path.dirname(runs.path))
    if place is model.folder and runs.name == "runs" and sweep.exists("runs.parquet"):
        tables.collect_evaluations(sweep, tables.read(sweep, "runs.parquet")["run_id"].to_pylist())


def _described(row: dict[str, Any]) -> list[str]:
    window, stride = row["window"], row["stride"]
    cut = (
        f"disjoint windows of {window:,} tokens, of which the first is not scored"
        if row["windowing"] == "disjoint"
        else f"windows of {window:,} tokens sliding by {stride:,}, each token scored once"
    )
    what = "one stream" if row["packing"] == "concatenate" else f"documents each by itself, {row['documents']:,}"
    lines = [
        f"{row['model']} on {row['corpus']} ({row['corpus_hash']})",
        f"  windows         {cut}; {what}",
        f"  loss            {row['loss']:.4f} ± {row['loss_se']:.4f} nats/token over {row['tokens']:,} tokens",
    ]
    for name, unit in (
        ("perplexity", "a token"),
        ("word_perplexity", f"a word ({row['words']:,})"),
        ("bits_per_byte", f"bits/byte ({row['bytes']:,})"),
    ):
        if row[name] is not None:
            lines.append(f"  {name.replace('_', ' '):<16}{row[name]:,.5g} ± {row[f'{name}_se']:.2g} {unit}")
    return lines
