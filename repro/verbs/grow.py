"""`python -m repro grow`: a trained model becomes a larger one, to be trained on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from repro.console import commands
from repro.console.options import SEED, whole
from repro.surgery.catalogue import GROWTHS, growing
from repro.verbs.operating import add_model, add_output, add_text, listed, operate

if TYPE_CHECKING:
    from repro.evaluation.texts import Text
    from repro.spec import ModelSpec
    from repro.verbs.operating import Make

EXAMPLES = (
    ("out/model out/wide --method grow-width-noise --factor 2", "twice as wide, by copies that learn apart"),
    ("out/model out/deep --method grow-depth-zero --factor 4 --dry-run", "what it would be, four times as deep"),
)
NOTES = """\
methods:
{methods}

The factor multiplies the number of blocks, or the widths; the width of a head stays. By equal copies, noise and blocks that
add nothing, the model computes what it did: losses before and after differ by rounding. Copies of equal shares learn the
same as long as they are trained, so a model that is to use its new width has the noise: what reads a neuron's copies does so
by shares that differ from equal ones by 20%, root mean square, and add up to 1. Blocks that add nothing have zeros in o_proj
and down_proj, which learn at once. OUT's card and OUT/surgery.json say what was done.
"""


def add_parser(verbs: Any) -> None:
    parser = commands.add(
        verbs, "grow",
        "Makes a trained model of the Llama family wider or deeper, without training, and writes it as a folder that "
        "transformers loads with no code of this project.",
        EXAMPLES, notes=NOTES.format(methods=listed(GROWTHS)),
    )  # fmt: skip
    add_model(parser)
    parser.add_argument(
        "--factor", type=whole(), required=True, metavar="N", help="how many times as many blocks, or as wide"
    )
    SEED.add(parser, "of methods with noise", type=whole(0))
    add_text(parser, "losses")
    add_output(parser, "grow")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Grows a model; returns the exit code."""
    growing(given.method)
    return operate(given, _foretold, _prepared, ("factor", "length", "held_out", "seed"))


def _prepared(given: argparse.Namespace, text: Text | None, length: int) -> Make:
    from repro.surgery.grow import grow

    return lambda net, keep, progress: grow(net, given.method, given.factor, seed=given.seed, keep=keep)


def _foretold(given: argparse.Namespace, before: ModelSpec) -> tuple[dict[str, Any], str]:
    """The counts that the growth will leave, and a line that says so."""
    from repro.surgery.amounts import counts, grown, growth

    after = grown(before, given.method, given.factor)
    found: dict[str, Any] = counts(before.shape, after.shape)
    found |= growth(found)
    parts = [
        f"{name} {getattr(before, name):,} -> {getattr(after, name):,}"
        for name in ("d_model", "layers", "heads", "mlp")
        if getattr(before, name) != getattr(after, name)
    ]
    return found, (
        f"grows {', '.join(parts) or 'nothing'}: {found['params_before']:,} -> {found['params_after']:,} parameters, "
        f"{found['growth_all']:.4f} times"
    )
