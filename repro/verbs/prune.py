"""`python -m repro prune`: a trained model becomes a smaller one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from repro.console import commands
from repro.console.options import SEED, real, whole
from repro.surgery.amounts import check_rate
from repro.surgery.catalogue import METHODS, check_text, taking
from repro.verbs import DENSE_RUN
from repro.verbs.operating import add_model, add_output, add_text, listed, operate

if TYPE_CHECKING:
    from repro.evaluation.texts import Text
    from repro.spec import ModelSpec
    from repro.verbs.operating import Make

EXAMPLES = (
    (
        f"{DENSE_RUN} out/half --method wanda --structure 2:4 --text sweeps/quick.yaml",
        "half of the weights, two of every four",
    ),
    ("out/model out/small --method magnitude --rate .1 --dry-run", "what would be removed"),
)
NOTES = """\
methods:
{methods}

The rate is a share of all parameters, and what can be removed comes as near to it as it can: both shares that went, of all
parameters and of those in linear layers, are printed and stand in OUT's card and in OUT/surgery.json. N:M without a rate
takes all blocks. Memory is that of one block in fp32 and of the text's activations: weights are read from MODEL's files and
kept in files beside OUT, block by block, which takes the room of OUT once more meanwhile.
Evaluation and calibration read disjoint sequences of the text. Results depend on the calibration text, its size and its
seed, which is why papers' numbers differ: they draw 128 sequences of 2,048 tokens for weights, 10 of 128 for blocks.
"""


def add_parser(verbs: Any) -> None:
    parser = commands.add(
        verbs, "prune",
        "Removes blocks, heads and channels, or single weights of a trained model of the Llama family, in one step without "
        "training, and writes it as a folder that transformers loads with no code of this project.",
        EXAMPLES, notes=NOTES.format(methods=listed(METHODS)),
    )  # fmt: skip
    add_model(parser)
    parser.add_argument(
        "--rate", type=real("a number"), metavar="SHARE",
        help="share of all parameters to remove, 0 to 1 (default: what --structure N:M leaves)",
    )  # fmt: skip
    parser.add_argument(
        "--structure", metavar="STRUCTURE",
        help="of methods that remove single weights: unstructured, or N:M, N of every M (default: unstructured)",
    )  # fmt: skip
    parser.add_argument(
        "--sequences", type=whole(), default=64, metavar="N", help="calibration sequences (default: %(default)s)"
    )
    SEED.add(parser, type=whole(0))
    parser.add_argument(
        "--protect",
        type=whole(0),
        nargs=2,
        metavar=("FIRST", "LAST"),
        help="of depth methods: how many of the first and of the last blocks stay (default: in proportion to 4 and 2 of 32 for "
        "depth-taylor, else none)",
    )
    parser.add_argument(
        "--groups",
        type=whole(0),
        metavar="N",
        help="of width methods: how many groups of heads that share keys and values go from every block; channels make up the "
        "rate (default: as many as the rate and transformers allow)",
    )
    add_text(parser, "calibration and losses")
    add_output(parser, "prune")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prunes a model; returns the exit code."""
    taking(given.method, **_options(given))
    check_rate(given.rate, given.structure)
    check_text(given.method, given.text is not None or given.rate == 0)
    again = ("rate", "structure", "sequences", "length", "held_out", "seed", "groups", "protect")
    return operate(given, _foretold, _prepared, again)


def _options(given: argparse.Namespace) -> dict[str, Any]:
    """Those that some methods take alone."""
    protect = tuple(given.protect) if given.protect else None
    return {"structure": given.structure, "protect": protect, "groups": given.groups}


def _prepared(given: argparse.Namespace, text: Text | None, length: int) -> Make:
    from repro.surgery.calibration_set import draw
    from repro.surgery.methods import prune

    drawn = None
    if text is not None and METHODS[given.method].text:
        drawn = draw(text, given.sequences, length, given.seed, apart=given.held_out)
    return lambda net, keep, progress: prune(
        net, given.method, given.rate, **_options(given), text=drawn, seed=given.seed, progress=progress, keep=keep
    )


def _foretold(given: argparse.Namespace, before: ModelSpec) -> tuple[dict[str, Any], str]:
    """The counts and rates that the surgery will leave, and a line that says so."""
    from repro.spec import SurgerySpec
    from repro.surgery.amounts import counts, narrowed, rates, width_at

    asked = SurgerySpec(given.method, given.rate, given.structure)
    zeros, after = asked.zeros(before), asked.model_after(before) if given.groups is None else before
    if given.groups is not None and given.rate:
        after = narrowed(before, *width_at(before, given.rate, given.groups))
    found: dict[str, Any] = counts(before.shape, after.shape, sum(zeros.values()))
    found |= rates(found)
    parts = [
        (before.layers - after.layers, f"of {before.layers} blocks"),
        (before.shape.kv - after.shape.kv, f"of {before.shape.kv} groups of heads of every block"),
        (before.mlp - after.mlp, f"of {before.mlp:,} channels of every block"),
        (sum(zeros.values()), f"weights of {len(zeros):,} linear layers"),
    ]
    removed = ", ".join(f"{count:,} {of}" for count, of in parts if count) or "nothing"
    return found, (
        f"removes {removed}: {found['params_before']:,} -> {found['params_after']:,} parameters, "
        f"{found['rate_all']:.2%} of all, {found['rate_linear']:.2%} of those in linear layers"
    )
