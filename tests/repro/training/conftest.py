"""Parents of runs that begin with surgery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repro.corpus import Corpus
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.training.train import train
from tests.repro.training.children import CPU, MODEL


@pytest.fixture(scope="module")
def parent(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], Path]:
    """The folder of a run that was trained once."""
    made: dict[str, Path] = {}

    def of(spec: RunSpec) -> Path:
        if spec.fingerprint not in made:
            made[spec.fingerprint] = tmp_path_factory.mktemp("parent")
            train(spec, Folder.open(made[spec.fingerprint]), text, CPU)
        return made[spec.fingerprint]

    return of


@pytest.fixture
def dense(make_spec: Callable[..., RunSpec]) -> RunSpec:
    """A parent with the authors' initialisation, whose queries are scaled in an export."""
    return replace(make_spec(0.0, dense_steps=20, run_id="parent"), model=MODEL)
