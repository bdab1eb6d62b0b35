"""`python -m repro inspect`: counts a model's weights and checks claims about them."""

from __future__ import annotations

import argparse
import json
from typing import Any

EXAMPLES = """examples:
  python -m repro inspect out/model                                 counts, sparsity by layer, and its card's claims
  python -m repro inspect org/name --claim linear=1.14B nonzero=.23B sparsity=.8
  python -m repro inspect out/model/compact --json                  one object, for machines

Weights are safetensors, sharded or not, of any model whose layout is known from transformers or from its tensors' names;
an unknown layout is an error, not a guess. They are read in chunks, in little memory; pickled and packed weights are
rejected. Counts must agree with claims to the last stated digit, sparsities to .1%.
Exit code 1: a claim is wrong. Exit code 2: the files are damaged, untrustworthy or not a model.
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    parser = verbs.add_parser(
        "inspect",
        usage="python -m repro inspect MODEL [--json] [--claim NAME=VALUE ...]",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a folder, a .safetensors file, or a Hugging Face id")
    parser.add_argument(
        "--claim",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="claims to check: linear, total, nonzero, average (1.14B), sparsity (.8, 80%%), structure (2:4); "
        "they override the card's",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    from repro.models import card_claims, counts, counts_table
    from repro.models.folder import CARD, open_model

    asked = card_claims.from_words(given.claim)
    model = open_model(given.model)
    said = card_claims.from_card(model.card, file=model.path / CARD)
    found = counts.count(model)
    verdicts = card_claims.judge(said | asked, found)
    if given.json:
        print(json.dumps({"model": given.model, **found.to_dict(), "claims": [v.to_dict() for v in verdicts]}))
    else:
        print("\n".join(counts_table.described(found)))
        if verdicts:
            print()
        for v in verdicts:
            print(f"{'agrees' if v.agrees else 'WRONG':<8}{v.claim} {v.stated}; found {v.found}")
    return 0 if all(v.agrees for v in verdicts) else 1
