"""Masks under DDP, FSDP2 and DeepSpeed ZeRO, on two gloo workers: exact, and the update is that of one process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests import workers
from tests.repro.holding.training import exact, pruned, run_page, sharded, trained_by_trainer, weights

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.mark.parametrize(
    "kinds",
    [
        ["ddp", "zero3", "fsdp2"],
        pytest.param(
            ["zero0", "zero1", "zero2", "zero0bf16", "zero1bf16", "zero2bf16", "zero3bf16"], marks=pytest.mark.full
        ),
    ],
    ids=["most", "rest"],
)
def test_masks_stay_exact_on_two_workers_and_the_weights_are_those_of_one(kinds: list[str]) -> None:
    alone = pruned()
    run_page("Plain PyTorch, and DDP", model=alone, optimizer=torch.optim.AdamW(alone.parameters(), lr=1e-2))
    expected = weights(alone)
    assert exact(expected)
    ranks = workers.run(2, sharded, kinds)
    for kind in kinds:
        for found in (rank[kind] for rank in ranks):
            assert "removed weights are not zero" in found["stray"], kind
            assert exact(found["weights"]), kind
            if not kind.endswith("bf16"):
                for name, weight in found["weights"].items():
                    torch.testing.assert_close(weight, expected[name], rtol=1e-3, atol=1e-4, msg=f"{kind}: {name}")


def test_the_page_for_the_trainer_runs_on_two_workers_and_without_the_callback_masks_break(tmp_path: Path) -> None:
    for found in workers.run(2, trained_by_trainer, str(tmp_path)):
        assert found == {
            "ends exact": True,
            "saves exact": True,
            "wrapped": "DistributedDataParallel",
            "without": False,
        }


@pytest.mark.full
@pytest.mark.parametrize("stage", [2, 3])
def test_the_page_for_the_trainer_runs_under_deepspeed(stage: int, tmp_path: Path) -> None:
    for found in workers.run(2, trained_by_trainer, str(tmp_path), stage):
        assert found == {"ends exact": True, "saves exact": True, "wrapped": "DeepSpeedEngine"}
