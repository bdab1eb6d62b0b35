"""The worker group of a run that has several workers: where Ray places it, and what it does before it trains.

A group that a node can hold lies on one node, and a larger one on whole nodes: the plan (sweeps/scaling.py) counts on the
links within a node, and a ring over parts of nodes would be slower and cut the nodes up for others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import ray
from ray._private import state
from ray.train import ScalingConfig
from ray.train.backend import BackendConfig
from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend
from ray.train.v2._internal.execution.callback import ControllerCallback

from repro.training.assignment import Assignment
from repro.training.distributed import TIMEOUT

NODE = "ray.io/node-id"  # label that Ray gives every node


def scaling(given: Assignment) -> ScalingConfig:
    """The workers of a run and how Ray places them; a single worker is no group, and trains in the trial's process."""
    workers = given.resources.workers
    if workers == 1:
        return ScalingConfig(num_workers=0, use_gpu=given.gpu)
    largest = max((devices for _, devices in _nodes(given.gpu)), default=0)
    # If the nodes are yet to come, as on a cluster that autoscales, they decide.
    strategy = "STRICT_PACK" if workers <= largest else "PACK"
    return ScalingConfig(num_workers=workers, use_gpu=given.gpu, placement_strategy=strategy)


class WholeNodes(ControllerCallback):
    """Keeps a group that no node can hold to nodes that it fills, and among them to those with the most free devices.

    If they aren't all free yet, Ray waits for half a minute, and then asks again.
    """

    def on_controller_start_worker_group(
        self, *, scaling_config: ScalingConfig, num_workers: int
    ) -> dict[str, str] | None:
        gpu = bool(scaling_config.use_gpu)
        nodes = _nodes(gpu)
        largest = max((devices for _, devices in nodes), default=0)
        if num_workers <= largest or not largest or num_workers % largest:
            return None
        free = state.available_resources_per_node()
        kind = _kind(gpu)
        whole = sorted(
            (node for node, devices in nodes if devices == largest), key=lambda node: -free.get(node, {}).get(kind, 0)
        )
        count = num_workers // largest
        return {NODE: f"in({','.join(whole[:count])})"} if len(whole) >= count else None


@dataclass
class TextFirst(TorchConfig):
    """PyTorch's process group, made once every worker has the run's text.

    A machine's first copy of a corpus may take hours, in which the others would wait in a collective until its timeout.

    assignment: the run's `Assignment` as a mapping.
    """

    timeout_s: int = int(TIMEOUT.total_seconds())
    assignment: dict[str, Any] = field(default_factory=dict)

    @property
    def backend_cls(self) -> type[_TorchBackend]:
        return _TextFirstBackend


class _TextFirstBackend(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        assert isinstance(backend_config, TextFirst)
        worker_group.execute(_obtain_text, backend_config.assignment)
        super().on_start(worker_group, backend_config)


def _obtain_text(mapping: dict[str, Any]) -> None:
    from repro.training.worker import obtain_text  # and DeepSpeed with it, which the group's controller does without

    obtain_text(mapping)


def _kind(gpu: bool) -> str:
    return "GPU" if gpu else "CPU"


def _nodes(gpu: bool) -> list[tuple[str, int]]:
    """(id, number of devices) of every node."""
    kind = _kind(gpu)
    return [(node["NodeID"], int(node["Resources"].get(kind, 0))) for node in ray.nodes() if node["Alive"]]
