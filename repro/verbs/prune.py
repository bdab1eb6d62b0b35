"""`python -m repro prune`: a trained model becomes a smaller one."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.console.options import real, whole
from repro.errors import UserError
from repro.surgery.amounts import check_rate
from repro.surgery.catalogue import METHODS, check_text, taking

if TYPE_CHECKING:
    from repro.evaluation.texts import Text
    from repro.spec import ModelSpec
    from repro.surgery.sources import Prunable

LENGTH = 512  # tokens of a sequence, at most

EXAMPLES = """methods:
{methods}

examples:
  python -m repro prune results/quick/runs/RUN_ID out/model --method wanda --rate .25 --text sweeps/quick.yaml
  python -m repro prune out/model out/half --method wanda --structure 2:4 --text 'notes/*.txt'
  python -m repro prune Qwen/Qwen2.5-0.5B out/short --method depth-ppl --rate .25 --text c4.json.gz --sequences 128
  python -m repro prune out/model out/small --method magnitude --rate .1 --dry-run       what would go; nothing is read

The rate is a share of all parameters, and what can be removed comes as near to it as it can: both shares that went, of all
parameters and of those in linear layers, are printed and stand in OUT's card and in OUT/surgery.json. N:M without a rate
takes all blocks. Memory is that of one block in fp32 and of the text's activations: weights are read from MODEL's files and kept
in files beside OUT, block by block, which takes the room of OUT once more meanwhile.
Evaluation and calibration read disjoint sequences of the text. Results depend on the calibration text, its size and its
seed, which is why papers' numbers differ: they draw 128 sequences of 2,048 tokens for weights, 10 of 128 for blocks.
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    methods = "\n".join(f"  {name:<17}{one.meaning}" for name, one in METHODS.items())
    parser = verbs.add_parser(
        "prune",
        epilog=EXAMPLES.format(methods=methods),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Removes blocks, heads and channels, or single weights of a trained model of the Llama family, in one\n"
        "shot; writes it as a folder that transformers loads with no code of ours.",
    )
    parser.add_argument("model", metavar="MODEL", help="a run's folder, a Hugging Face folder or id, or a GGUF file")
    parser.add_argument("out", metavar="OUT", help="a new folder on this machine")
    parser.add_argument("--method", metavar="M", required=True, help="one of the methods below")
    parser.add_argument("--rate", type=real("a number"), metavar="R", help="share of all parameters to remove")
    parser.add_argument("--structure", metavar="S", help="unstructured or N:M, of methods that remove single weights")
    parser.add_argument(
        "--text",
        metavar="TEXT",
        help="for calibration and losses: a corpus' folder or a sweep YAML (its held-out split), or text files: "
        ".txt .json .jsonl .json.gz .parquet",
    )
    parser.add_argument(
        "--sequences", type=whole(), default=64, metavar="N", help="calibration sequences (default: 64)"
    )
    parser.add_argument(
        "--length",
        type=whole(2),
        metavar="N",
        help=f"tokens of a sequence (default: {LENGTH}, or the model's context if that is shorter)",
    )
    parser.add_argument(
        "--held-out", type=whole(), default=64, metavar="N", help="sequences that losses are taken on (default: 64)"
    )
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of drawn sequences and random methods")
    parser.add_argument(
        "--protect",
        type=whole(0),
        nargs=2,
        metavar=("FIRST", "LAST"),
        help="how many of the first and last blocks depth methods leave (default: in proportion to 4 and 2 of 32 for "
        "depth-taylor, else none)",
    )
    parser.add_argument(
        "--groups",
        type=whole(0),
        metavar="N",
        help="groups of heads that share keys and values which width methods remove from every block; channels make up "
        "the rate (default: as many as the rate and transformers allow)",
    )
    parser.add_argument("--text-field", default="text", help="text field of JSON lines and Parquet (default: text)")
    parser.add_argument("--corpora", metavar="ROOT", default="data", help="root of a run's own corpus (default: data)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed, and stop")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prunes a model; returns the exit code."""
    if "://" in given.out:
        raise UserError("not a folder of this machine", key="OUT", found=given.out, expected="a path")
    protect = tuple(given.protect) if given.protect else None
    options = {"structure": given.structure, "protect": protect, "groups": given.groups}
    taking(given.method, **options)
    check_rate(given.rate, given.structure)
    check_text(given.method, given.text is not None or given.rate == 0)
    from repro.corpus import Corpus
    from repro.evaluation import texts
    from repro.models import appearing
    from repro.surgery.sources import source_of

    out = Path(given.out)
    appearing.check(out)
    progress = _Progress()
    text_source = texts.find(given.text, given.text_field, given.corpora, progress) if given.text else None
    source = source_of(given.model, given.corpora, text_source if isinstance(text_source, Corpus) else None)
    foretold = _foretold(given, source.spec, progress)
    if given.dry_run:
        if given.json:
            print(json.dumps({"method": given.method, **foretold}))
        return 0
    if text_source is not None and source.reader is None:
        raise UserError(
            "a model without a tokenizer", file=source.name, expected="its tokenizer.json beside its weights"
        )
    text = None if text_source is None or source.reader is None else texts.read(text_source, source.reader)
    _prune(given, source, text, out, options, progress)
    return 0


def _prune(
    given: argparse.Namespace,
    source: Prunable,
    text: Text | None,
    out: Path,
    options: dict[str, Any],
    progress: _Progress,
) -> None:
    """Prunes, evaluates, writes and prints."""
    import torch
    from transformers.utils.logging import disable_progress_bar

    from repro.surgery import written
    from repro.surgery.calibrate import mean_loss
    from repro.surgery.calibration_set import draw, held_out
    from repro.surgery.card import perplexity
    from repro.surgery.methods import prune
    from repro.surgery.spill import Spill
    from repro.training import device_memory

    disable_progress_bar()
    device_memory.begin_peak(torch.device("cpu"))
    length = min(LENGTH, source.spec.sequence) if given.length is None else given.length
    drawn, tokens = None, None
    if text is not None:
        tokens = held_out(text, given.held_out, length)
        drawn = (
            draw(text, given.sequences, length, given.seed, apart=given.held_out)
            if METHODS[given.method].text
            else None
        )
    net = source.read()
    before = None if tokens is None else mean_loss(net, tokens, progress.named("loss before"))
    out.parent.mkdir(parents=True, exist_ok=True)
    keep = Spill(out.parent)
    made = prune(net, given.method, given.rate, **options, text=drawn, seed=given.seed, progress=progress, keep=keep)
    measured = None
    if text is not None and tokens is not None and before is not None:
        after = mean_loss(made.net, tokens, progress.named("loss after"))
        measured = written.HeldOutLosses(text.name, text.hash, len(tokens), length, before, after)
    effort = written.Effort(progress.seconds, device_memory.peak(torch.device("cpu")))
    facts = written.facts_of(source.name, made, measured, effort)
    written.write(out, net, made, facts, source.tokenizer, _command(given))
    if given.json:
        print(json.dumps({key: value for key, value in facts.items() if key != "removed"} | {"out": str(out)}))
        return
    print(f"{given.model} -> {out}, {given.method}")
    for name, key, rate in (("parameters", "params", "rate_all"), ("in linear layers", "linear", "rate_linear")):
        print(f"  {name:<17}{facts[f'{key}_before']:,} -> {facts[f'{key}_after']:,}, {facts[rate]:.4%} removed")
    if measured is not None:
        losses = measured.before, measured.after
        print(f"  {'loss':<17}{losses[0]:.4f} -> {losses[1]:.4f} nats a token")
        print(f"  {'perplexity':<17}{perplexity(losses[0]):,.2f} -> {perplexity(losses[1]):,.2f}")
    print(f"  {'effort':<17}{effort.seconds:,.1f} s, {effort.peak_memory / 1e9:.3g} GB at its peak")


class _Progress:
    """Prints lines of progress to standard error, after the seconds since the beginning."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._since

    def __call__(self, line: str) -> None:
        print(f"{self.seconds:8.1f} s  {line}", file=sys.stderr, flush=True)

    def named(self, name: str) -> Any:
        """The same, with a name before each line."""
        return lambda line: self(f"{name}: {line}")


def _foretold(given: argparse.Namespace, before: ModelSpec, progress: _Progress) -> dict[str, Any]:
    """The counts and rates that the surgery will leave, before any weight is read; says them."""
    from repro.spec import SurgerySpec
    from repro.surgery.amounts import narrowed, width_at
    from repro.surgery.record import counts

    asked = SurgerySpec(given.method, given.rate, given.structure)
    zeros, after = asked.zeros(before), asked.model_after(before) if given.groups is None else before
    if given.groups is not None and given.rate:
        after = narrowed(before, *width_at(before, given.rate, given.groups))
    found: dict[str, Any] = counts(before.shape, after.shape, sum(zeros.values()))
    for key, rate in (("params", "rate_all"), ("linear", "rate_linear")):
        found[rate] = 1 - found[f"{key}_after"] / found[f"{key}_before"]
    parts = [
        (before.layers - after.layers, f"of {before.layers} blocks"),
        (before.shape.kv - after.shape.kv, f"of {before.shape.kv} groups of heads of every block"),
        (before.mlp - after.mlp, f"of {before.mlp:,} channels of every block"),
        (sum(zeros.values()), f"weights of {len(zeros):,} linear layers"),
    ]
    removed = ", ".join(f"{count:,} {of}" for count, of in parts if count) or "nothing"
    progress(
        f"removes {removed}: {found['params_before']:,} -> {found['params_after']:,} parameters, "
        f"{found['rate_all']:.2%} of all, {found['rate_linear']:.2%} of those in linear layers"
    )
    return found


def _command(given: argparse.Namespace) -> str:
    """The command that makes it again, with the options that matter and no place of this machine."""
    from repro.models.public import without_places

    words = ["MODEL", "OUT", "--method", given.method]
    for name in ("rate", "structure", "sequences", "length", "held_out", "seed", "groups"):
        value = getattr(given, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    if given.protect:
        words += ["--protect", *map(str, given.protect)]
    if given.text:
        words += ["--text", str(without_places(given.text))]
    return f"python -m repro prune {shlex.join(words)}"
