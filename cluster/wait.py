"""`python -m cluster wait`: waits until all nodes have joined; batch scripts call it before they start a sweep."""

from __future__ import annotations

import argparse
import time
from typing import Any

from repro import ray_address
from repro.console import commands
from repro.console.options import NODES, real, whole
from repro.errors import UserError

EXAMPLES = (
    ("--nodes 8", "until the head and seven more have joined"),
    ("--nodes 8 --timeout 1800", "for half an hour at most"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb wait."""
    command = commands.add(
        verbs, "wait",
        "Waits until the nodes of the Ray cluster at RAY_ADDRESS have joined. The exit code is 1 if they haven't in time.",
        EXAMPLES,
    )  # fmt: skip
    seconds = real("a number of seconds, more than 0 and at most 30 days", 0, 30 * 86400, open_below=True)
    NODES.add(command, "the head among them", type=whole(1, 1_000_000), required=True)
    how_long = "how long to wait (default: %(default)g seconds)"
    command.add_argument("--timeout", type=seconds, default=600.0, metavar="SECONDS", help=how_long)
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Returns the exit code: 1 if the nodes haven't joined in time."""
    address = ray_address.given()
    if address is None:
        raise UserError("no cluster to wait for", key=ray_address.KEY, expected="HEAD:PORT")
    if address != "auto":
        ray_address.parse(address)
    import ray

    deadline, found, why = time.monotonic() + given.timeout, 0, f"nothing listens at {address}"
    print(f"waiting for {given.nodes} nodes at {address}", flush=True)
    while time.monotonic() < deadline:
        before = found, why
        try:
            ray_address.check(address)
            if not ray.is_initialized():
                ray.init(log_to_driver=False)
            found = sum(node["Alive"] for node in ray.nodes())
            if found >= given.nodes:
                print(f"{found} nodes at {address}", flush=True)
                return 0
        except (UserError, ConnectionError, RuntimeError) as error:  # the head isn't up yet
            why = str(error).strip().splitlines()[0]
        if (found, why) != before:
            print(f"{found} of {given.nodes} nodes have joined{'' if found else ': ' + why}", flush=True)
        time.sleep(1)
    print(f"{found} of {given.nodes} nodes have joined in {given.timeout:g} s{'' if found else ': ' + why}", flush=True)
    return 1
