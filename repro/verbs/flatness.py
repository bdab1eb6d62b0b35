"""`python -m repro flatness`: the trace of the Hessian of models' held-out losses."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from repro.bounds import SEEDS
from repro.console import commands, options
from repro.errors import UserError
from repro.verbs import DENSE_RUN, RUN

if TYPE_CHECKING:
    import torch

    from repro.corpus import Corpus
    from repro.corpus.files import FilesSource
    from repro.evaluation.flatness import Trace

MANY = 10_000  # vectors

EXAMPLES = (
    (f"{RUN} sweeps/quick.yaml --max-tokens 2000", "of one run, on a part of its held-out text"),
    (f"{RUN} {DENSE_RUN} sweeps/quick.yaml --max-tokens 2000 --vectors 10", "of two, compared in the last column"),
)
NOTES = """\
Losses stand beside the traces, because a comparison means something at equal loss alone. The error of a trace is that of
the random vectors alone, and falls as 1/sqrt(vectors). Another text would give another trace: compare on the same one.
"""


def add_parser(verbs: Any) -> None:
    parser = commands.add(
        verbs, "flatness",
        "Estimates the trace of the Hessian of the held-out loss (nats a token) by Hutchinson's method, over the weights that "
        "are not zero: over all of them and over those of the linear layers, in sum and per weight. It computes in fp32.",
        EXAMPLES, notes=NOTES,
    )  # fmt: skip
    parser.add_argument(
        "models", metavar="MODEL", nargs="+", help=f"{options.MODEL.meaning}; or a run's folder; several are compared"
    )
    options.TEXT.add(parser)
    parser.add_argument(
        "--vectors", type=options.whole(2, MANY), default=20, metavar="N", help="random vectors (default: %(default)s)"
    )
    options.SEED.add(parser, type=options.whole(0, SEEDS))
    options.MAX_TOKENS.add(parser, type=options.whole(), default=16384)
    options.WINDOW.add(parser, type=options.whole(2), default_is="a row of the corpus, else the model's context length")
    options.TEXT_FIELD.add(parser)
    options.DEVICE.add(parser)
    options.CORPUS_ROOT.add(
        parser, "a run's own corpus is sought there, for its tokenizer", default_is="the sweep file's, else data"
    )
    options.earlier(parser, "--corpora", "--corpus")
    options.JSON.add(parser)
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Estimates and prints the traces; returns the exit code."""
    from repro.evaluation import texts
    from repro.resources import Resources
    from repro.training.distributed import device_of

    say = partial(print, file=sys.stderr, flush=True)
    source = texts.find(given.text, given.text_field, given.corpus, say)
    device = device_of(Resources(device=given.device))
    found: list[dict[str, Any]] = []
    first: Trace | None = None
    for number in range(len(given.models)):
        row, trace = _of_model(number, source, device, given)
        first = first or trace
        row["of_first"], row["of_first_se"] = trace.over(first) if found else (1.0, 0.0)
        found.append(row)
    print(json.dumps(found, allow_nan=False) if given.json else "\n".join(_lines(found)))
    return 0


def _of_model(
    number: int, source: Corpus | FilesSource, device: torch.device, given: argparse.Namespace
) -> tuple[dict[str, Any], Trace]:
    """The row of one of the models, and its trace over all weights."""
    from repro.console.progress import TimedProgress
    from repro.evaluation import flatness, models, scores, texts, windows
    from repro.evaluation.flatness import EVERYTHING, LINEAR, Trace

    model = models.load(given.models[number], "fp32", device, given.corpus or "data", source)
    counts = flatness.kept(model.network)
    if not all(counts):
        raise UserError("a model without linear layers", file=model.name, expected="torch.nn.Linear, as a Llama has")
    text = texts.read(source, model.reader)
    read = windows.of_text(text, model, window=given.window, tokens=given.max_tokens)
    loss = scores.summary(model.network, text, read.cut)
    progress = TimedProgress(partial(print, file=sys.stderr, flush=True), model.name)
    progress.begin(f"{given.vectors} vectors", given.vectors * loss["tokens"], "tokens")
    products = flatness.products(model.network, text, read.cut, given.vectors, (given.seed, number), progress.advance)
    everything, linear = (Trace.of(products[:, column], counts[column]) for column in (EVERYTHING, LINEAR))
    return {
        **model.columns(),
        "corpus": text.name,
        "corpus_hash": text.hash,
        "window": read.window,
        **{name: loss[name] for name in ("tokens", "loss", "loss_se")},
        "vectors": given.vectors,
        "seed": given.seed,
        **everything.columns("trace"),
        **linear.columns("linear"),
    }, everything


def _lines(found: list[dict[str, Any]]) -> list[str]:
    """A table, one line a model."""
    first = found[0]
    width = max(len(row["model"]) for row in found)
    lines = [
        f"trace of the Hessian on {first['corpus']} ({first['corpus_hash']}), {first['vectors']} vectors",
        f"{'model':<{width}}  {'loss':>16}  {'weights':>13}  {'trace':>20}  {'a weight':>22}  {'linear layers':>20}  of the first",
    ]
    for row in found:
        cells = (
            f"{row['loss']:.4f} ± {row['loss_se']:.4f}",
            f"{row['trace_weights']:,}",
            f"{row['trace']:.5g} ± {row['trace_se']:.2g}",
            f"{row['trace_per_weight']:.4g} ± {row['trace_per_weight_se']:.2g}",
            f"{row['linear']:.5g} ± {row['linear_se']:.2g}",
        )
        sized = "  ".join(f"{cell:>{size}}" for cell, size in zip(cells, (16, 13, 20, 22, 20), strict=True))
        compared = "" if row is first else f"  {row['of_first']:.3f} ± {row['of_first_se']:.3f}"
        lines.append(f"{row['model']:<{width}}  {sized}{compared}")
    return lines
