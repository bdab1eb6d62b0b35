"""What a manifest asks for, from a sweep's plan and the command line, checked before a template sees it. No torch, no Ray."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from repro.errors import UserError
from sweeps.devices import Cluster
from sweeps.forecast import forecast
from sweeps.grid import Sweep

ROOT = Path(__file__).resolve().parent.parent
HOME = PurePosixPath("/app")  # of the checkout in the image, as the Dockerfile has it
MARGIN = 1.5  # of the plan's makespan: throughput is assumed, queues and restarts take their part

NAME = r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"  # a DNS label, short enough for what is appended to it
WORD = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
PATTERNS = {  # option -> what it may look like, and an example
    "name": (NAME, "lower-case letters, digits and hyphens, at most 40; --name chooses another"),
    "image": (
        r"[a-z0-9][a-z0-9._/:-]{0,254}(:[A-Za-z0-9._-]{1,128})?(@sha256:[0-9a-f]{64})?",
        "registry.example.org/sparse-scaling:0.1.0",
    ),
    "storage": (r"(s3|gs|gcs|abfss?|hdfs)://[A-Za-z0-9@._:-]+(/[A-Za-z0-9._=-]+)*", "s3://BUCKET/FOLDER"),
    "claim": (r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", "the name of a ReadWriteMany PersistentVolumeClaim"),
    "service_account": (r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", "the name of a ServiceAccount"),
    "secret": (r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", "the name of a Secret"),
    "partition": (WORD, "the name of a partition"),
    "account": (WORD, "the name of an account"),
    "instance": (WORD, "a machine type, like p5.48xlarge"),
    "region": (r"[a-z]+(-[a-z]+)+-?[0-9]", "us-east-1"),
    "zone": (r"[a-z]+-[a-z]+[0-9]-[a-z]", "us-central1-a"),
    "project": (r"[a-z][-a-z0-9]{4,28}[a-z0-9]", "the id of a Google Cloud project"),
    "boot_image": (r"[a-z][A-Za-z0-9_-]*(/[A-Za-z0-9_-]+)*", "projects/PROJECT/global/images/family/FAMILY"),
    "nfs": (r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:(/[A-Za-z0-9._-]*)+", "fs-0123.efs.us-east-1.amazonaws.com:/"),
}


@dataclass(frozen=True)
class Deployment:
    """A sweep on a cluster of equal nodes.

    name: of the job or cluster. file: the sweep file as the command names it. results: root of the results folders.
    nodes: that train; cpus, memory (GB, None leaves it to the target), gpus: of each of them. gpu: its name in repro.hardware, None without one.
    hours: wall-clock limit. warnings: of the plan.
    """

    sweep: Sweep
    name: str
    file: str
    results: str
    nodes: int
    cpus: int
    memory: int | None
    gpus: int
    gpu: str | None
    hours: int
    warnings: tuple[str, ...] = ()

    @property
    def run(self) -> list[str]:
        """The command that trains the sweep, in the checkout."""
        return ["python", "-m", "sweeps", "run", self.file, "--results", self.results]

    @property
    def build(self) -> list[str]:
        """The command that builds its corpora on a node, in the checkout."""
        return ["python", "-m", "repro", "corpus", self.file]

    @property
    def corpus(self) -> str:
        """Where the corpora lie in the image."""
        return str(HOME / self.sweep.storage.corpus)


def deployment(
    sweep: Sweep,
    *,
    devices: Cluster | None,
    measured: str | None,
    name: str | None,
    storage: str | None,
    nodes: int | None,
    cpus: int | None,
    memory: int | None,
    hours: float | None,
    shared_disk: bool,
) -> Deployment:
    """The deployment of a sweep.

    Args:
        sweep: the expanded file.
        devices: the GPUs, or None for a cluster without.
        measured: a measured-throughput file for the plan.
        name, storage, nodes, cpus, memory, hours: instead of the sweep's name, its results folder, and what the plan says.
        shared_disk: the nodes see this machine's disk, so that local paths mean the same there.

    Raises:
        UserError: the sweep and the cluster don't go together, or a value can't stand in a manifest.
    """
    resources = sweep.resources
    if devices is None and resources.device == "cuda":
        raise UserError(
            "a sweep for GPUs",
            file=sweep.file,
            key="resources.device",
            found="cuda",
            expected="--cluster gpus=…,type=…",
        )
    if devices is not None and resources.device == "cpu":
        raise UserError(
            "the sweep would leave every GPU idle",
            file=sweep.file,
            key="resources.device",
            found="cpu",
            expected="cuda or auto, or no --cluster",
        )
    if devices is not None and nodes is not None:
        raise UserError(
            "nodes are given twice", key="--nodes", found=nodes, expected="gpus and per_node of --cluster alone"
        )
    if devices is not None and resources.workers > devices.gpus:
        raise UserError(
            "a run of this sweep needs more GPUs",
            file="--cluster",
            key="gpus",
            found=devices.gpus,
            expected=f"at least {resources.workers} (resources.workers)",
        )
    warnings: tuple[str, ...] = ()
    if devices is not None:
        planned = forecast(sweep, devices, measured)
        warnings = planned.warnings
        hours = hours or planned.makespan_hours * MARGIN
    elif hours is None:
        raise UserError(
            "how long may it run? Without GPUs the plan has no hours", key="--hours", expected="hours of wall clock"
        )
    gpus = devices.node if devices else 0
    cores = cpus or (8 * gpus or 4)
    name = sweep.name if name is None else name
    allowed("name", name)
    return Deployment(
        sweep=sweep,
        name=name,
        file=_file(sweep, shared_disk),
        results=_results(sweep, storage, shared_disk),
        nodes=devices.gpus // gpus if devices else nodes or 1,
        cpus=cores,
        memory=memory,
        gpus=gpus,
        gpu=devices.known or devices.type if devices else None,
        hours=max(1, math.ceil(hours)),
        warnings=warnings,
    )


def allowed(option: str, value: str) -> str:
    """The value. Raises UserError when it doesn't look like what `option` may be."""
    pattern, expected = PATTERNS[option]
    if not re.fullmatch(pattern, value):
        raise UserError(
            "not a value that a manifest may hold",
            key=f"--{option.replace('_', '-')}",
            found=repr(value),
            expected=expected,
        )
    return value


def command(words: list[str]) -> str:
    """Words as one shell command, each quoted."""
    return shlex.join(words)


def _file(sweep: Sweep, shared_disk: bool) -> str:
    file = sweep.file.resolve()
    if shared_disk:
        return _one_line(str(file), "FILE")
    if not file.is_relative_to(ROOT):
        raise UserError("the image holds the checkout alone", file=sweep.file, expected=f"a sweep file under {ROOT}")
    corpus = PurePosixPath(sweep.storage.corpus)
    if ".." in corpus.parts or "://" in sweep.storage.corpus:
        raise UserError(
            "the corpus must lie on a node's disk",
            file=sweep.file,
            key="storage.corpus",
            found=corpus,
            expected="a folder, without '..'",
        )
    return _one_line(file.relative_to(ROOT).as_posix(), "FILE")


def _results(sweep: Sweep, storage: str | None, shared_disk: bool) -> str:
    uri = sweep.storage.results if storage is None else storage
    if "://" in uri:
        return allowed("storage", uri)
    if not shared_disk:
        raise UserError(
            "results on a node's disk are lost with the node",
            file=None if storage else sweep.file,
            key="--storage" if storage else "storage.results",
            found=uri,
            expected="--storage s3://BUCKET/FOLDER, or another object store that outlives the cluster",
        )
    return _one_line(str((ROOT / uri).resolve()), "--storage")


def _one_line(path: str, key: str) -> str:
    if any(ord(letter) < 32 for letter in path):
        raise UserError("a path with control characters", key=key, found=repr(path), expected="a path of one line")
    return path
