"""`python -m cluster wait`: until all nodes have joined, which the batch scripts do before they start a sweep."""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from cluster.numbers import count, seconds
from repro.addresses import answers, check
from repro.errors import UserError


def add_parser(verbs: Any) -> None:
    """Adds the verb wait."""
    command = verbs.add_parser("wait")
    command.add_argument("--nodes", type=count, required=True, metavar="N", help="the head is one of them")
    command.add_argument("--timeout", type=seconds, default=600.0, metavar="SECONDS", help="(%(default)s)")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Returns the exit code: 1 when they didn't come in time."""
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        raise UserError("no cluster to wait for", key="RAY_ADDRESS", expected="HEAD:PORT")
    check(address)
    import ray

    deadline, found, why = time.monotonic() + given.timeout, 0, f"nothing listens at {address}"
    while time.monotonic() < deadline:
        if not answers(address):
            time.sleep(1)
            continue
        try:
            if not ray.is_initialized():
                ray.init(log_to_driver=False)
            found = sum(node["Alive"] for node in ray.nodes())
            if found >= given.nodes:
                print(f"{found} nodes at {address}", flush=True)
                return 0
        except (ConnectionError, RuntimeError) as error:  # the head isn't up yet
            why = str(error).strip().splitlines()[0]
        time.sleep(1)
    print(f"{found} of {given.nodes} nodes have joined in {given.timeout:g} s{'' if found else ': ' + why}", flush=True)
    return 1
