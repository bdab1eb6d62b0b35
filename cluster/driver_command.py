"""A sweep's driver: the shell commands that build the corpora and train, and the places that they are given."""

from __future__ import annotations

import shlex
from typing import Literal

from repro import strict
from sweeps.grid import Sweep


def train(file: str, results: str, corpora: str, measured: str | None) -> str:
    """The shell command that trains a sweep. measured: path of a measured-throughput file, if any."""
    words = ["python", "-m", "sweeps", "run", file, "--results", results, "--corpus", corpora]
    return shlex.join([*words, *(["--measured", measured] if measured else [])])


def corpus(file: str, corpora: str) -> str:
    """The shell command that builds a sweep's corpora on the cluster at RAY_ADDRESS."""
    words = ["python", "-m", "repro", "corpus", "build", file, "--corpus", corpora]
    return f'{shlex.join(words)} --address "$RAY_ADDRESS"'


def chain(build: str | None, run: str) -> str:
    """Shell command that builds and, if that succeeds, execs the training."""
    return f"{build} && exec {run}" if build else f"exec {run}"


def undeclared(sweep: Sweep) -> str:
    """Why `repro corpus build`, limited to one vocabulary and sequence length per file, can't build all corpora."""
    model = strict.read_yaml(sweep.file).get("model") or {}
    wanted = {(spec.model.vocab, spec.model.sequence) for spec in sweep.specs}
    if wanted <= {(model.get("vocab"), model.get("sequence"))}:
        return ""
    return "sizes differ in vocabulary or sequence: `sweeps run` builds their corpora, in one process"


def place_of(name: Literal["results", "corpus"], given: str | None, sweep: Sweep) -> tuple[str, object, str]:
    """The root of results or corpora, as an option gives it or else the sweep; and the file and the key that say so."""
    if given is not None:
        return given, None, f"--{name}"
    return getattr(sweep.storage, name), sweep.file, f"storage.{name}"
