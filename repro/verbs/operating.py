"""What `prune` and `grow` share: MODEL and TEXT are opened, losses taken before and after, OUT written, and what came out said."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.console import options
from repro.errors import UserError
from repro.surgery.catalogue import GROWTHS

if TYPE_CHECKING:
    from repro.evaluation.texts import Text
    from repro.spec import ModelSpec
    from repro.surgery.net import Keep, Made, Net

    Make = Callable[[Net, Keep, "ProgressLines"], Made]

LENGTH = 512  # tokens of a sequence, at most


class ProgressLines:
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


def operate(
    given: argparse.Namespace,
    foretell: Callable[[argparse.Namespace, ModelSpec], tuple[dict[str, Any], str]],
    prepare: Callable[[argparse.Namespace, Text | None, int], Make],
    repeated: Sequence[str],
) -> int:
    """Does what a verb does with a model; returns the exit code.

    Args:
        foretell: the counts that it will leave, and a line that says so, from the model before; nothing is read.
        prepare: what makes the model, from the text, if there is one, and the tokens of a sequence. The text is drawn from
            here: what it doesn't allow is refused before any weight is read.
        repeated: options of the command line that bear on the model, in the order of the command that makes it again.
    """
    from repro.evaluation import texts
    from repro.models import appearing
    from repro.surgery.sources import source_of

    progress = ProgressLines()
    if "://" in given.out:
        raise UserError("not a folder on this machine", key="OUT", found=given.out, expected="a path")
    out = Path(given.out)
    appearing.check(out)
    text_source = texts.find(given.text, given.text_field, given.corpus, progress) if given.text else None
    source = source_of(given.model, given.corpus, text_source)
    foretold, line = foretell(given, source.spec)
    progress(line)
    if given.dry_run:
        if given.json:
            print(json.dumps({"method": given.method, **foretold}))
        return 0
    if text_source is not None and source.reader is None:
        raise UserError(
            "a model without a tokenizer", file=source.name, expected="its tokenizer.json beside its weights"
        )
    text = None if text_source is None or source.reader is None else texts.read(text_source, source.reader)
    import torch
    from transformers.utils.logging import disable_progress_bar

    from repro.surgery import card
    from repro.surgery.calibrate import mean_loss
    from repro.surgery.calibration_set import held_out
    from repro.surgery.net import Spill
    from repro.training import device_memory

    disable_progress_bar()
    cpu = torch.device("cpu")
    device_memory.begin_peak(cpu)
    length = min(LENGTH, source.spec.sequence) if given.length is None else given.length
    tokens = None if text is None else held_out(text, given.held_out, length)
    make = prepare(given, text, length)
    net = source.read()
    losses: dict[str, Any] = dict.fromkeys(("held_out", "loss_before", "loss_after"))
    if tokens is not None:
        losses["loss_before"] = mean_loss(net, tokens, progress.named("loss before"))
    out.parent.mkdir(parents=True, exist_ok=True)
    made = make(net, Spill(out.parent), progress)
    if text is not None and tokens is not None:
        losses["loss_after"] = mean_loss(made.net, tokens, progress.named("loss after"))
        losses["held_out"] = {"name": text.name, "hash": text.hash, "sequences": len(tokens), "length": length}
    effort = {"seconds": progress.seconds, "peak_memory": device_memory.peak(cpu)}
    facts = appearing.without_places({"model": source.name, **made.record, **effort, **losses})
    card.write(out, net, made, facts, source.tokenizer, _command(given, repeated))
    _say(given, facts)
    return 0


def _say(given: argparse.Namespace, facts: dict[str, Any]) -> None:
    from repro.surgery.card import perplexity

    if given.json:
        print(json.dumps({key: value for key, value in facts.items() if key != "removed"} | {"out": given.out}))
        return
    print(f"{given.model} -> {given.out}, {given.method}")
    for name, key in (("parameters", "params"), ("in linear layers", "linear")):
        before, after = facts[f"{key}_before"], facts[f"{key}_after"]
        change = f"{after / before:.4f} times" if given.method in GROWTHS else f"{1 - after / before:.4%} removed"
        print(f"  {name:<17}{before:,} -> {after:,}, {change}")
    if facts["held_out"] is not None:
        losses = facts["loss_before"], facts["loss_after"]
        print(f"  {'loss':<17}{losses[0]:.4f} -> {losses[1]:.4f} nats a token")
        print(f"  {'perplexity':<17}{perplexity(losses[0]):,.2f} -> {perplexity(losses[1]):,.2f}")
    print(f"  {'effort':<17}{facts['seconds']:,.1f} s, {facts['peak_memory'] / 1e9:.3g} GB at its peak")


def _command(given: argparse.Namespace, repeated: Sequence[str]) -> str:
    """The command that makes it again, with the options that matter and no place of this machine."""
    from repro.models.appearing import without_places

    words = ["MODEL", "OUT", "--method", given.method]
    for name in repeated:
        if (values := getattr(given, name)) is not None:
            stated = values if isinstance(values, list) else [values]
            words.append(f"--{name.replace('_', '-')}")
            words += (f"{value:g}" if isinstance(value, float) else str(value) for value in stated)
    if given.text:
        words += ["--text", str(without_places(given.text))]
    return f"python -m repro {given.verb} {shlex.join(words)}"


def add_model(parser: Any) -> None:
    """Adds MODEL, OUT and --method."""
    options.MODEL.add(parser, "or a run's folder, or a GGUF file")
    options.OUT_PLACE.add(parser, "a new folder on this machine")
    options.METHOD.add(parser, "one of the methods below", required=True)


def add_text(parser: Any, use: str) -> None:
    """Adds the options of texts, which serve a `use`."""
    options.TEXT_OPTION.add(parser, f"for {use}", default_is="none")
    parser.add_argument(
        "--length",
        type=options.whole(2),
        metavar="N",
        help=f"tokens of a sequence (default: {LENGTH}, or the model's context length if that is shorter)",
    )
    parser.add_argument(
        "--held-out",
        type=options.whole(),
        default=64,
        metavar="N",
        help="sequences that losses are taken on (default: %(default)s)",
    )
    options.TEXT_FIELD.add(parser)
    options.CORPUS_ROOT.add(parser, "a run's own corpus is sought there, for its tokenizer", default="data")
    options.earlier(parser, "--corpora", "--corpus")


def add_output(parser: Any, verb: str) -> None:
    """Adds what is said, and by whom."""
    options.DRY_RUN.add(parser, "no weight is read")
    options.JSON.add(parser)
    parser.set_defaults(verb=verb)


def listed(methods: dict[str, Any]) -> str:
    """A line for each method of a catalogue."""
    return "\n".join(f"  {name:<18}{one.meaning}" for name, one in methods.items())
