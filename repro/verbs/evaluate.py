"""`python -m repro evaluate`: evaluates any model on any text, and on tasks of lm-evaluation-harness."""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from repro.bounds import within
from repro.errors import UserError
from repro.paths import expand

if TYPE_CHECKING:
    from repro.corpus import Corpus
    from repro.corpus.files import FilesSource
    from repro.evaluation.models import Model
    from repro.store.folder import Folder

MOST = 10**12  # tokens, windows or questions
Rows = list[dict[str, Any]]

EXAMPLES = """examples:
  python -m repro evaluate results/laptop/runs/RUN_ID sweeps/laptop.yaml        the whole held-out split of a sweep's text
  python -m repro evaluate results/laptop/runs/RUN_ID 'notes/*.txt' --stride 64 files, with sliding windows
  python -m repro evaluate EleutherAI/pythia-70m c4.json.gz --window 512 --json a model of the Hub on a part of C4
  python -m repro evaluate exported/ --tasks arc_easy,mine --tasks-path tasks/  tasks of the harness and of a folder
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    parser = verbs.add_parser(
        "evaluate",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Held-out loss (nats/token), perplexity and bits per byte of any model on any text, and its scores on\n"
        "tasks of lm-evaluation-harness. A run's results are saved in its folder and in its sweep's tables.",
        epilog=EXAMPLES,
    )
    parser.add_argument("model", metavar="MODEL", help="a run's folder, or a Hugging Face folder or id (safetensors)")
    parser.add_argument(
        "corpus",
        metavar="CORPUS",
        nargs="?",
        help="a corpus' folder (its held-out split), a sweep YAML, or text files: .txt .json .jsonl .json.gz .parquet",
    )
    parser.add_argument(
        "--window",
        type=int,
        metavar="N",
        help="tokens read at once (default: a row of the corpus, else the model's context length)",
    )
    parser.add_argument(
        "--stride", type=int, metavar="N", help="tokens from window to window (default: the window, i.e. disjoint)"
    )
    parser.add_argument("--max-tokens", type=int, metavar="N", help="score about N tokens, in evenly spread windows")
    parser.add_argument("--text-field", default="text", help="text field of JSON lines and Parquet (default: text)")
    parser.add_argument("--tasks", metavar="NAME,...", help="tasks of lm-evaluation-harness")
    parser.add_argument("--tasks-path", metavar="FOLDER", help="additional tasks; Python functions they name are run")
    parser.add_argument(
        "--fewshot", type=int, metavar="N", help="examples before each question (default: the task's default)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N questions of each task")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="precision (default: the model's own)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--corpora", metavar="ROOT", help="root with a run's own corpus, for its tokenizer (default: data)"
    )
    parser.add_argument("--out", metavar="FOLDER", help="where to save the tables (default: a run's own folder)")
    parser.add_argument("--json", action="store_true", help="one JSON object: evaluations, tasks")
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
    source = texts.find(given.corpus, given.text_field, given.corpora, progress) if given.corpus else None
    known = source if source is not None and not isinstance(source, texts.FilesSource) else None
    device = device_of(Resources(device=given.device))
    model = models.load(given.model, given.precision, device, given.corpora or "data", known)
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
    if not given.corpus and not given.tasks:
        raise UserError(
            "nothing to evaluate on", found="neither CORPUS nor --tasks", expected="at least one of the two"
        )
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
    read = windows.of_text(
        [len(ids) for ids in text.documents],
        text.row,
        model.context,
        name=model.name,
        window=given.window,
        stride=given.stride,
        tokens=given.max_tokens,
    )
    return {
        **model.columns(),
        "corpus": text.name,
        "corpus_hash": text.hash,
        "packing": text.packing,
        "windowing": "disjoint" if read.stride == read.window else "sliding",
        "window": read.window,
        "stride": read.stride,
        **scores.summary(scores.token_losses(model.network, text, read.cut), text, read.cut),
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
