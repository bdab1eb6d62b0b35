"""The values of a manifest, from a sweep's plan and the command line, validated before rendering. No torch, no Ray."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cluster.driver_command import chain, corpus, place_of, train, undeclared
from cluster.values import allowed, inside, one_line, plain_path
from repro.errors import UserError, located
from repro.paths import expand
from sweeps.devices import Cluster
from sweeps.forecast import forecast
from sweeps.grid import Sweep
from sweeps.throughput import Measured

ROOT = Path(__file__).resolve().parent.parent
HOME = PurePosixPath("/app")  # the checkout in the image, as in the Dockerfile
MARGIN = 1.5  # on the plan's makespan: throughput is assumed, and queues and restarts take time


@dataclass(frozen=True)
class Deployment:
    """A sweep on a cluster of equal nodes.

    name: name of the job or cluster. file, measured: paths of the sweep file and of the measured-throughput file, if any, in
    the commands. results, corpora: roots of the results folders and of the corpora. builds: whether to build the corpora on all
    cores of the cluster before the runs. mount: mount point of the corpora's volume on every node, if there is one.
    nodes: number of training nodes; cpus, memory (GB, None for the target's default), gpus: per node. gpu: its name in
    repro.training.hardware, None without GPUs. hours: wall-clock limit. warnings: the plan's warnings.
    """

    sweep: Sweep
    name: str
    file: str
    measured: str | None
    results: str
    corpora: str
    builds: bool
    mount: str | None
    nodes: int
    cpus: int
    memory: int | None
    gpus: int
    gpu: str | None
    hours: int
    warnings: tuple[str, ...] = ()

    @property
    def run(self) -> str:
        """The shell command that trains the sweep, in the checkout."""
        return train(self.file, self.results, self.corpora, self.measured)

    @property
    def build(self) -> str | None:
        """The shell command that builds its corpora on the cluster at RAY_ADDRESS, in the checkout; None without one."""
        return corpus(self.file, self.corpora) if self.builds else None

    @property
    def steps(self) -> str:
        """Both commands in sequence."""
        return chain(self.build, self.run)


def deployment(sweep: Sweep, given: argparse.Namespace, *, volume: bool) -> Deployment:
    """The deployment of a sweep.

    Args:
        given: the options of `cluster render`, which override the sweep's name, its results folder and the plan's values. With
            slurm the nodes share this machine's disk, so that local paths are valid there.
        volume: every node mounts a volume for the corpora.

    Raises:
        UserError: the sweep and the cluster don't match, or a value isn't allowed in a manifest.
    """
    devices = Cluster.parse(given.cluster) if given.cluster else None
    hours, shared_disk = given.hours, given.target == "slurm"
    resources = sweep.resources
    if devices is None and resources.device == "cuda":
        what = "a sweep that needs GPUs"
        raise UserError(what, file=sweep.file, key="resources.device", found="cuda", expected="--cluster gpus=…,type=…")
    if devices is not None and resources.device == "cpu":
        what, expected = "the sweep would leave every GPU idle", "cuda or auto, or no --cluster"
        raise UserError(what, file=sweep.file, key="resources.device", found="cpu", expected=expected)
    if devices is not None and given.nodes is not None:
        raise UserError(
            "nodes are given twice", key="--nodes", found=given.nodes, expected="gpus and per_node of --cluster alone"
        )
    if devices is not None and resources.workers > devices.gpus:
        expected = f"at least {resources.workers} (resources.workers)"
        raise UserError(
            "a run of this sweep needs more GPUs", file="--cluster", key="gpus", found=devices.gpus, expected=expected
        )
    if given.measured is not None:
        Measured.read(given.measured)
    warnings: tuple[str, ...] = ()
    if devices is not None:
        planned = forecast(sweep, devices, given.measured)
        warnings = planned.warnings
        hours = hours or planned.makespan_hours * MARGIN
    elif hours is None:
        raise UserError(
            "no time limit, and without GPUs the plan has no hours", key="--hours", expected="hours of wall clock"
        )
    gpus = devices.node if devices else 0
    with located(None, "--name"):
        name = allowed("name", sweep.name if given.name is None else given.name)
    files = [spec for spec in sweep.specs if spec.corpus.source == "files"]
    if files and not shared_disk and not volume:
        what, found = "text files that the nodes don't have", ", ".join(files[0].corpus.paths)[:200]
        volumes = "a volume that holds them below storage.corpus (--volume-claim, --nfs)"
        expected = f"{volumes}, or a source that every node reaches"
        raise UserError(what, file=sweep.file, key="corpus.paths", found=found, expected=expected)
    unbuilt = "" if given.corpus is not None else undeclared(sweep)
    if unbuilt:
        warnings += (unbuilt,)
    results = _results(sweep, given.results, shared_disk)
    root, mount = _corpora(sweep, given.corpus, volume, shared_disk, results)
    return Deployment(
        sweep=sweep,
        name=name,
        file=_there(sweep.file, "FILE", shared_disk),
        measured=None if given.measured is None else _there(Path(expand(given.measured)), "--measured", shared_disk),
        results=results,
        corpora=root,
        builds=given.corpus is None and not unbuilt,
        mount=mount,
        nodes=devices.gpus // gpus if devices else given.nodes or 1,
        cpus=given.cpus or (8 * gpus or 4),
        memory=given.memory,
        gpus=gpus,
        gpu=devices.known or devices.type if devices else None,
        hours=max(1, math.ceil(hours)),
        warnings=warnings,
    )


def _there(given: Path, key: str, shared_disk: bool) -> str:
    """A file's path on the nodes."""
    file = given.resolve()
    with located(None, key):
        if shared_disk:
            return one_line(str(file))
        if not file.is_relative_to(ROOT):
            expected = f"a file under {ROOT}"
            raise UserError("the image contains the checkout alone", file=given, key=key, expected=expected)
        return plain_path(file.relative_to(ROOT).as_posix())


def _results(sweep: Sweep, given: str | None, shared_disk: bool) -> str:
    place, file, key = place_of("results", given, sweep)
    with located(file, key):
        if "://" in place:
            return allowed("results", expand(place))
        if shared_disk:
            return _of_this_disk(place)
        expected = "--results s3://BUCKET/FOLDER, or another object store that outlives the cluster"
        raise UserError("results on a node's disk are lost with the node", found=place, expected=expected)


def _corpora(sweep: Sweep, given: str | None, volume: bool, shared_disk: bool, results: str) -> tuple[str, str | None]:
    """Root of the corpora on the nodes, and the mount point of its volume, if any."""
    place, file, key = place_of("corpus", given, sweep)
    with located(file, key):
        if "://" in place and volume:
            what = "both an object store and a volume for the corpora"
            raise UserError(what, found=place, expected="one of the two")
        if "://" in place:
            return allowed("results", expand(place)), None
        if shared_disk:
            return _of_this_disk(place), None
        if given is not None:
            expected = "s3://BUCKET/FOLDER, or another object store that has them"
            raise UserError(
                "corpora on a disk of this machine, which the nodes don't see", found=place, expected=expected
            )
        if not volume:
            return f"{results.rstrip('/')}/corpora", None
        mount = str(inside(HOME, place))
        return mount, mount


def _of_this_disk(place: str) -> str:
    """A local path, which is valid on the nodes as they share this machine's user and disk."""
    if not place.strip():
        raise UserError("an empty path", found=repr(place), expected="a path or a URI")
    return one_line(str((ROOT / expand(place)).resolve()))
