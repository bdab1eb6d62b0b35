"""`python -m repro inspect`: what the weights of a model are, and whether that is what is said of them."""

from __future__ import annotations

import argparse
import json
from typing import Any

EXAMPLES = """examples:
  python -m repro inspect out/model                                 counts, sparsity by layer, and its card's claims
  python -m repro inspect org/name --claim linear=1.14B nonzero=.23B sparsity=.8
  python -m repro inspect out/model/compact --json                  one object, for machines

Weights are safetensors, sharded or not, of any model whose layout transformers or the names of its tensors tell; another
layout is an error, not a guess. They are read in pieces, in little memory; pickled and packed ones are refused. A count
agrees with a claim to the last digit that the claim states, a sparsity to .1%.
Exit code 1: a claim is wrong. Exit code 2: the files can't be trusted or are no model.
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
        help="what the weights should be: linear, total, nonzero, average (1.14B), sparsity (.8, 80%%), structure (2:4); "
        "where its card says otherwise, this counts",
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
