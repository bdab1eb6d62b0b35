"""`python -m cluster logs | stop`: submitted jobs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from cluster.client import DASHBOARD, NOTES, OF_DASHBOARD, connect, details
from repro.console import commands
from repro.console.options import Option, earlier

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

STOP_WAIT = 300  # seconds for a stopped driver's checkpoints before it is killed; Ray's default of 3 is too short
AT_WORK = ("PENDING", "RUNNING")
FOLLOW = Option("--follow", None, "print the driver's output until the job ends", {"action": "store_true"})


LOGS = (("quick-1122-101530", "what it has printed so far"), ("quick-1122-101530 --follow", "until it ends"))
STOP = (
    ("quick-1122-101530", "the sweep of this job"),
    ("quick-1122-101530 --dashboard http://head:8265", "of another cluster"),
)


def add_parser(verbs: Any) -> None:
    """Adds both verbs to an `argparse` command."""
    prints = "Prints the output of the driver of a sweep that was submitted."
    shown = commands.add(verbs, "logs", prints, LOGS, notes=NOTES)
    stops = "Stops a sweep that was submitted; it saves checkpoints first."
    stopped = commands.add(verbs, "stop", stops, STOP, notes=NOTES)
    for command, main in ((shown, logs), (stopped, stop)):
        command.add_argument("id", metavar="ID", help="id of the job, which `submit` printed")
        DASHBOARD.add(command, default_is=OF_DASHBOARD)
        earlier(command, "--address", "--dashboard")
        command.set_defaults(main=main)
    FOLLOW.add(shown)


def logs(given: argparse.Namespace) -> int:
    """Prints the driver's output. Returns the exit code; with --follow, the sweep's."""
    client, _ = connect(given.dashboard)
    details(client, given.id)
    if given.follow:
        return follow(client, given.id)
    print(client.get_job_logs(given.id), end="")
    return 0


def stop(given: argparse.Namespace) -> int:
    """Asks the driver to stop and waits until it has stopped. Returns the exit code."""
    client, _ = connect(given.dashboard)
    job = details(client, given.id)
    if job.status.value not in AT_WORK:
        print(f"{given.id} is not running: {job.status.value.lower()}")
        return 0
    client.stop_job(given.id)
    print(f"{given.id}: told to stop; its runs save a checkpoint, for which it has {STOP_WAIT} s", flush=True)
    try:
        while (job := details(client, given.id)).status.value in AT_WORK:
            time.sleep(0.5)
    except KeyboardInterrupt:
        print("it keeps stopping in the background")
        return 0
    print(f"{given.id}: {job.status.value.lower()}; submit the sweep again to resume it")
    return 0


def follow(client: JobSubmissionClient, job: str) -> int:
    try:
        asyncio.run(_print_tail(client, job))
    except KeyboardInterrupt:
        print(f"\n{job} keeps running; python -m cluster stop {job} ends it")
        return 0
    ended = details(client, job)
    print(f"{job}: {ended.status.value.lower()}")
    return 0 if ended.status.value == "SUCCEEDED" else ended.driver_exit_code or 1


async def _print_tail(client: JobSubmissionClient, job: str) -> None:
    """Prints the log until the job ends. Reconnects if the connection breaks; the server then resends the whole log."""
    import aiohttp

    printed = 0
    while True:
        seen = 0
        with contextlib.suppress(RuntimeError, aiohttp.ClientError):
            async for text in client.tail_job_logs(job):
                print(text[max(0, printed - seen) :], end="", flush=True)
                seen += len(text)
                printed = max(printed, seen)
        if details(client, job).status.is_terminal():
            return
        await asyncio.sleep(1)
