"""`python -m cluster submit`: a sweep as a Ray job."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster import versions
from cluster.client import ADDRESS, DASHBOARD, NOTES, OF_DASHBOARD, connect, node_count
from cluster.driver_command import chain, corpus, place_of, train, undeclared
from cluster.jobs import AT_WORK, FOLLOW, STOP_WAIT, follow
from cluster.pack import Packed, pack
from cluster.values import on_the_cluster
from repro.console import commands
from repro.console.options import CORPUS_ROOT, JSON, MEASURED, RESULTS_ROOT, SWEEP, earlier
from repro.errors import UserError, located
from repro.training.provenance import COMMIT, provenance
from sweeps import grid
from sweeps.grid import Sweep
from sweeps.throughput import Measured

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

# Lock files in the shipped checkout, which Ray unpacks first; PyPI's torch needs the second.
PIP = {
    "packages": [f"-r ${{RAY_RUNTIME_ENV_CREATE_WORKING_DIR}}/requirements{kind}.lock" for kind in ("", "-cuda")],
    "pip_install_options": ["--disable-pip-version-check", "--require-hashes", "--no-deps"],
    "pip_check": False,
}


EXAMPLES = (
    ("sweeps/paper.yaml --dashboard http://head:8265 --results s3://bucket/results", "results in a store"),
    ("sweeps/quick.yaml --results /nfs/results --follow", "results in a folder that every node sees"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    command = commands.add(
        verbs, "submit",
        "Submits a sweep to a Ray cluster as a job, which trains the runs that are not done. The checkout is sent along.",
        EXAMPLES, notes=NOTES,
    )  # fmt: skip
    SWEEP.add(command, "inside or outside of the checkout")
    RESULTS_ROOT.add(command, "a path is absolute", default_is="the sweep's storage.results")
    CORPUS_ROOT.add(
        command, "they are there already", default_is="the cluster builds them first, below the sweep's storage.corpus, or below "
        "--results where that is a relative path",
    )  # fmt: skip
    MEASURED.add(command, "it is sent along", default_is="throughput by the roofline")
    command.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME",
        help="environment variable to pass on, such as AWS_ENDPOINT_URL or HF_TOKEN; may be repeated. Ray stores it with the job, "
        "readable by anyone who has the cluster's token; nodes with roles of their own need no keys (default: none)",
    )
    command.add_argument(
        "--pip", action="store_true", help="install requirements.lock on the nodes, for this job alone"
    )
    FOLLOW.add(command)
    JSON.add(command)
    DASHBOARD.add(command, default_is=OF_DASHBOARD)
    earlier(command, "--address", "--dashboard")
    command.set_defaults(main=submit)


def submit(given: argparse.Namespace) -> int:
    """Packs the checkout, submits it and prints the next commands. Returns the exit code; with --follow, the sweep's."""
    sweep = grid.expand(given.file)
    if given.measured is not None:
        Measured.read(given.measured)
    root = _root(sweep, given.results)
    results = f"{root}/{sweep.name}"
    corpora, built = corpora_of(sweep, given.corpus, root)
    passed = _passed_on(given.env)
    client, address = connect(given.dashboard)
    warnings = _warnings(client, address, results)
    if given.pip and (theirs := client._server_ray_version) != versions.locked()["ray"]:
        what = "a cluster with another version of Ray, which a job can't change"
        expected = f"Ray {versions.locked()['ray']}, as requirements.lock has it"
        raise UserError(what, key="--pip", found=f"Ray {theirs} at {address}", expected=expected)
    twins = [
        job.submission_id
        for job in client.list_jobs()
        if job.submission_id and job.status.value in AT_WORK and (job.metadata or {}).get("results") == results
    ]
    with tempfile.TemporaryDirectory(prefix="submit-") as scratch:
        packed = pack(Path(given.file), Path(scratch), measured=given.measured)
        warnings += packed.warnings
        warnings += [line for line in (undeclared(sweep),) if line and not built]
        variables = {**passed, "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT), COMMIT: provenance()["commit"] or ""}
        environment: dict[str, Any] = {"working_dir": scratch, "env_vars": variables}
        if given.pip:
            environment["pip"] = PIP
        name = re.sub(r"[^\w-]+", "-", sweep.name)
        try:
            job = client.submit_job(
                entrypoint=entrypoint(sweep, packed, root, corpora, built),
                submission_id=f"{name}-{time.strftime('%m%d-%H%M%S')}",
                runtime_env=environment,
                metadata={"sweep": sweep.name, "results": results},
            )
        except RuntimeError as error:
            raise UserError(f"the cluster refused the job: {error}", found=address) from None
    elsewhere = "" if address == ADDRESS else f" --dashboard {shlex.quote(address)}"
    if given.json:
        told = {"id": job, "address": address, "results": results, "runs": len(sweep.runs)}
        print(json.dumps(told | {"also_at_work": twins, "warnings": warnings}))
    else:
        for line in warnings:
            print(f"warning: {line}", file=sys.stderr)
        if twins:
            shared = "the jobs share its runs, and each run is trained once"
            print(f"{', '.join(twins)} is already running this sweep; {shared}")
        print(
            f"{job}: {len(sweep.runs)} runs -> {results}\n"
            f"  follow  python -m cluster logs {job} --follow{elsewhere}\n"
            f"  watch   python -m sweeps status {shlex.quote(results)}\n"
            f"  stop    python -m cluster stop {job}{elsewhere}\n"
            f"  fetch   python -m cluster fetch {job}{elsewhere}",
            flush=True,
        )
    return follow(client, job) if given.follow else 0


def _root(sweep: Sweep, given: str | None) -> str:
    """Root of the results folders as seen by the cluster: a path or a URI."""
    place, file, key = place_of("results", given, sweep)
    with located(file, key):
        if _is_relative(place):
            what = "Ray deletes a job's folder, so that results at a relative path would be lost"
            expected = "--results with a URI (s3://bucket/results) or an absolute path that every node sees"
            raise UserError(what, found=place, expected=expected)
        return on_the_cluster(place)


def _is_relative(place: str) -> bool:
    return not place.startswith(("/", "~", "$")) and "://" not in place


def entrypoint(sweep: Sweep, packed: Packed, root: str, corpora: str, built: bool) -> str:
    """The driver's command line: print versions, build missing corpora, train."""
    build = None if built or undeclared(sweep) else corpus(packed.file, corpora)
    return f"python -m cluster.versions; {chain(build, train(packed.file, root, corpora, packed.measured))}"


def corpora_of(sweep: Sweep, given: str | None, root: str) -> tuple[str, bool]:
    """Root of the corpora as seen by the cluster, and whether they exist already."""
    place, file, key = place_of("corpus", given, sweep)
    with located(file, key):
        if not _is_relative(place):
            return on_the_cluster(place), given is not None
        if given is None:
            return f"{root}/corpora", False
        expected = "a URI, or an absolute path that every node sees"
        raise UserError("a relative path, which has no meaning in a job", found=given, expected=expected)


def _passed_on(names: list[str]) -> dict[str, str]:
    for name in names:
        if name not in os.environ:
            expected = "the name of one that is set"
            raise UserError("no such variable to pass on", key="--env", found=name, expected=expected)
    return {name: os.environ[name] for name in names}


def _warnings(client: JobSubmissionClient, address: str, results: str) -> list[str]:
    found = []
    theirs, ours = client._server_ray_version, versions.locked()["ray"]
    if theirs and theirs != ours:
        found.append(f"the cluster has Ray {theirs}, requirements.lock {ours}")
    nodes = node_count(address)
    if "://" not in results and nodes > 1:
        found.append(
            f"{results} must be a folder that all {nodes} nodes mount; on a disk of their own results are lost"
        )
    return found
