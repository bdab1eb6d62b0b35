"""`python -m repro inspect`: counts a model's weights and checks claims about them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from repro.console import commands
from repro.console.options import JSON, MODEL

EXAMPLES = (
    ("out/model", "counts, sparsity by layer, and whether the model card is right"),
    ("out/bf16/compact --claim sparsity=.8", "what somebody says of it"),
)
NOTES = """\
Weights are safetensors, in one file or several, of any model whose layout is known from transformers or from the names of its
tensors; an unknown layout is an error and not a guess. They are read in pieces, in little memory; pickled and packed weights
are refused. Counts must agree with claims to the last digit that is stated, sparsities to .1%.
exit codes: 1, a claim is wrong; 2, the files are damaged, can't be trusted or are no model
"""


def add_parser(verbs: Any) -> None:
    parser = commands.add(
        verbs, "inspect", "Counts a model's weights and checks claims about them.", EXAMPLES, notes=NOTES
    )
    parser.usage = (
        f"{parser.prog} MODEL [--json] [--claim NAME=VALUE ...]"  # --claim before MODEL would take it for a claim
    )
    MODEL.add(parser, "or a .safetensors file")
    parser.add_argument(
        "--claim",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="claims to check: linear, total, nonzero, average (1.14B), sparsity (.8 or 80%%), structure (2:4); they override "
        "the card's (default: the card's)",
    )
    JSON.add(parser)
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    from repro.models import card_claims, counts, page
    from repro.models.folder import CARD, open_model

    asked = card_claims.from_words(given.claim)
    model = open_model(given.model)
    said = card_claims.from_card(model.card, file=model.path / CARD)
    found = counts.count(model)
    verdicts = card_claims.judge(said | asked, found)
    if given.json:
        print(json.dumps({"model": given.model, **found.to_dict(), "claims": [v.to_dict() for v in verdicts]}))
    else:
        print("\n".join(page.described(found)))
        if verdicts:
            print()
        for v in verdicts:
            print(f"{'agrees' if v.agrees else 'WRONG':<8}{v.claim} {v.stated}; found {v.found}")
    return 0 if all(v.agrees for v in verdicts) else 1
