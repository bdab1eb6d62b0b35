"""The process group in which a run trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d

from repro.corpus import Corpus
from repro.resources import Resources, Stage
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training.distributed import TIMEOUT, process_group
from repro.training.run import RunInProgress
from repro.training.train import engine_of
from tests import workers

pytestmark = pytest.mark.slow


def timeouts(spec: RunSpec, corpus: Path, root: Path, stage: Stage) -> list[float]:
    """Seconds that the collectives of each group wait, once an engine has made its own."""
    run = RunInProgress(spec, RunFolder(Folder.open(root)), Corpus(corpus), Resources(workers=2, zero_stage=stage))
    with process_group(torch.device("cpu")):
        engine = engine_of(run)
        found = [
            group._get_backend(torch.device("cpu")).options._timeout.total_seconds()
            for group in distributed_c10d._world.pg_map
            if dist.get_world_size(group) > 1
        ]
        engine.close()
        return found


@pytest.mark.parametrize("stage", [1, pytest.param(3, marks=pytest.mark.full)])
def test_every_group_waits_as_long_as_is_stated(
    stage: Stage, make_spec: Callable[..., RunSpec], text: Corpus, tmp_path: Path
) -> None:
    for found in workers.run(2, timeouts, make_spec(), text.folder, tmp_path, stage):
        assert len(found) > 1  # DeepSpeed's beside the world's
        assert set(found) == {TIMEOUT.total_seconds()}
