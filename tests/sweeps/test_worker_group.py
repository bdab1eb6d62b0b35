"""On which nodes a run's workers lie: a real Ray of several nodes, whose devices are numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private import state
from ray.cluster_utils import Cluster
from ray.train.torch import TorchTrainer
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.placement_group import PlacementGroup, placement_group, placement_group_table, remove_placement_group

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training.assignment import Assignment
from sweeps.worker_group import NODE, TextFirst, WholeNodes, scaling
from tests.sweeps.driving import until

pytestmark = [pytest.mark.slow, pytest.mark.long]

PER_NODE = 2
Make = Callable[..., RunSpec]
Take = Callable[..., PlacementGroup]


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[str]]:
    """Ids of three nodes of two devices each."""
    ray.shutdown()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "2")
        devices: dict[str, Any] = {"num_cpus": PER_NODE + 1, "num_gpus": PER_NODE}
        cluster = Cluster(initialize_head=True, connect=True, head_node_args={"include_dashboard": False, **devices})
        others = [cluster.add_node(**devices).node_id for _ in range(2)]
        made = [ray.get_runtime_context().get_node_id(), *others]
        cluster.wait_for_nodes()
        yield made
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def take(nodes: list[str]) -> Iterator[Take]:
    """Takes devices, as Ray Train does for a group; removed at the end."""
    taken = []

    def place(devices: int, strategy: str = "PACK", selector: dict[str, str] | None = None) -> PlacementGroup:
        selectors = None if selector is None else [selector] * devices
        taken.append(placement_group([{"GPU": 1}] * devices, strategy=strategy, bundle_label_selector=selectors))
        return taken[-1]

    yield place
    for group in taken:
        remove_placement_group(group)
    until(lambda: free() == [PER_NODE] * len(nodes))


def assigned(spec: RunSpec, workers: int) -> Assignment:
    return Assignment(
        spec, Resources(workers=workers), "run", "corpus", "0" * 16, None, (), None, (), "results", "mine", None, gpu=True
    )  # fmt: skip


def placed(take: Take, spec: RunSpec, workers: int) -> PlacementGroup:
    """A group's devices, asked of Ray in the way in which Ray Train is told to."""
    wanted = scaling(assigned(spec, workers))
    selector = WholeNodes().on_controller_start_worker_group(scaling_config=wanted, num_workers=workers)
    return take(workers, wanted.placement_strategy, selector)


def lies_on(group: PlacementGroup) -> dict[str, int]:
    """The number of workers on each node."""
    assert group.wait(60)
    return Counter(placement_group_table(group)["bundles_to_node_id"].values())


def free() -> list[float]:
    """Free devices of each node, as Ray's head knows them: it hears of changes a moment later."""
    return [node.get("GPU", 0.0) for node in state.available_resources_per_node().values()]


def use_one(take: Take, *nodes: str) -> list[PlacementGroup]:
    """Takes one device of each of these nodes, as runs of one worker."""
    groups = [take(1, selector={NODE: node}) for node in nodes]
    assert [lies_on(group) for group in groups] == [{node: 1} for node in nodes]
    until(lambda: free().count(PER_NODE - 1) == len(nodes))
    return groups


def test_a_group_that_fits_a_node_waits_for_one_rather_than_lie_on_two(
    nodes: list[str], take: Take, make_spec: Make
) -> None:
    used = use_one(take, *nodes)
    group = placed(take, make_spec(), PER_NODE)
    assert not group.wait(1)
    assert ray.available_resources()["GPU"] == len(nodes)  # enough, if two nodes would do
    remove_placement_group(used[1])
    assert lies_on(group) == {nodes[1]: PER_NODE}


@pytest.mark.parametrize("used", [1, *(pytest.param(node, marks=pytest.mark.full) for node in (0, 2))])
def test_a_larger_group_takes_whole_nodes_and_leaves_the_one_that_is_used(
    used: int, nodes: list[str], take: Take, make_spec: Make
) -> None:
    use_one(take, nodes[used])
    group = placed(take, make_spec(), 2 * PER_NODE)
    assert lies_on(group) == {node: PER_NODE for node in nodes if node != nodes[used]}


def test_a_group_that_is_no_number_of_nodes_lies_where_there_is_room(
    nodes: list[str], take: Take, make_spec: Make
) -> None:
    assert sum(lies_on(placed(take, make_spec(), 2 * PER_NODE + 1)).values()) == 2 * PER_NODE + 1


@pytest.mark.full
def test_ray_train_places_the_workers_so_once_the_nodes_are_free(
    nodes: list[str], take: Take, make_spec: Make, tmp_path: Path
) -> None:
    """It asks again for nodes after a time in which those of its first choice stayed in use."""
    used = use_one(take, *nodes)
    given = assigned(make_spec(), 2 * PER_NODE)

    class Frees(WholeNodes):
        """Frees two of the nodes after its first choice."""

        def on_controller_start_worker_group(self, **asked: Any) -> dict[str, str] | None:
            chosen = super().on_controller_start_worker_group(**asked)
            for group in used[1:]:
                remove_placement_group(group)
            return chosen

    def work() -> None:
        (tmp_path / f"rank-{ray.train.get_context().get_world_rank()}").write_text(
            ray.get_runtime_context().get_node_id()
        )

    DataParallelTrainer(
        work,
        scaling_config=scaling(given),
        run_config=ray.train.RunConfig(storage_path=str(tmp_path / "train"), callbacks=[Frees()]),  # type: ignore[list-item]
    ).fit()
    found = [(tmp_path / f"rank-{rank}").read_text() for rank in range(2 * PER_NODE)]
    assert Counter(found) == {nodes[1]: PER_NODE, nodes[2]: PER_NODE}


def test_a_group_whose_text_is_not_the_one_declared_fails_before_it_trains(
    nodes: list[str], make_spec: Make, text: Corpus, tmp_path: Path
) -> None:
    run = RunFolder(Folder.open(tmp_path / "run"))
    given = replace(assigned(make_spec(), 1), folder=str(run.folder), corpus=str(text.folder), gpu=False)
    with pytest.raises(ray.train.ControllerError, match="the text has changed"):
        TorchTrainer(
            lambda: run.progress("done"),
            torch_config=TextFirst(assignment=given.to_dict()),
            scaling_config=ray.train.ScalingConfig(num_workers=1),
            run_config=ray.train.RunConfig(storage_path=str(tmp_path / "train")),
        ).fit()
    status = run.status()
    assert status["state"] == "failed"
    assert "the text has changed" in status["reason"]
