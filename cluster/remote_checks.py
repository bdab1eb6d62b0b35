"""The doctor's remote checks: each runs functions of cluster/node_facts.py on the nodes through Ray."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

from cluster import checks, node_facts
from cluster.checks import Finding
from repro.errors import UserError
from repro.resources import Resources
from repro.store.folder import Folder

PATIENCE = 300.0  # seconds for a node to answer; a busy one takes minutes to start its first worker process
DRIVER = "driver"


def join(resources: Resources) -> dict[str, str]:
    """Joins the cluster, or starts a local one; returns node name -> Ray's node id."""
    import ray

    from sweeps import tuner

    tuner.connect(None, resources.workers)
    alive = [node for node in ray.nodes() if node["Alive"]]
    return {f"node {i} ({node['NodeManagerAddress']})": node["NodeID"] for i, node in enumerate(alive)}


def ask(nodes: dict[str, str], what: Callable[..., Any], *words: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A function's result on each node, and the errors of nodes that didn't answer."""
    import ray

    task = ray.remote(num_cpus=0, max_retries=0)(what)
    asked = {
        node: task.options(scheduling_strategy=_only_on(node_id)).remote(*words) for node, node_id in nodes.items()
    }
    answers, silent = {}, {}
    for node, reply in asked.items():
        try:
            answers[node] = ray.get(reply, timeout=PATIENCE)
        except Exception as error:  # from the node, its environment or the function: a finding
            silent[node] = first_line(error)
    return answers, silent


def _only_on(node_id: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def skews_of(nodes: dict[str, str], answers: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """By node, seconds ahead of the driver, and half of the round-trip time. The node's process is already warm."""
    skews = {}
    for node in answers:
        began = time.time()
        reply, _ = ask({node: nodes[node]}, node_facts.now)
        ended = time.time()
        if node in reply:
            skews[node] = (reply[node] - (began + ended) / 2, (ended - began) / 2)
    return skews


def round_trip(what: str, root: str, nodes: dict[str, str]) -> Iterator[Finding]:
    """The driver and each node write a file under `root`; each reads all of them; then they are removed."""
    made = _made(root)
    place = f"{root.rstrip('/')}/.doctor-{secrets.token_hex(4)}"
    why_not: dict[str, str] = {}
    unread: dict[str, list[str]] = {}
    try:
        said = {DRIVER: node_facts.write(place, DRIVER)}
        for node, name in nodes.items():
            reply, silent = ask({node: name}, node_facts.write, place, name)
            said |= reply | silent
        why_not = {node: why for node, why in said.items() if why}
        written = {name: node for node, name in {DRIVER: DRIVER, **nodes}.items() if node not in why_not}
        lost, _ = ask(nodes, node_facts.missing, place, [*written])
        lost[DRIVER] = node_facts.missing(place, [*written])
        unread = {node: [written[name] for name in found] for node, found in lost.items() if found}
    except (ValueError, UserError) as error:  # a URI that no file system knows
        why_not[DRIVER] = str(error)
    finally:
        for clear in (lambda: ask(nodes, node_facts.clear, place, made), lambda: node_facts.clear(place, made)):
            with suppress(OSError, ValueError, UserError):
                clear()
    yield from checks.storage(what, root, why_not, unread)


def _made(root: str) -> list[str]:
    """The folders, innermost first, that writing under `root` creates."""
    if "://" in root:
        try:
            return [] if Folder.open(root).exists() else [root]
        except (OSError, ValueError, UserError):
            return []
    path = Path(root)
    return [str(one) for one in takewhile(lambda one: not one.exists(), (path, *path.parents))]


def all_reduce(nodes: dict[str, str], facts: dict[str, Any], resources: Resources) -> Finding:
    """An all-reduce of two workers, on two nodes if there are two, over NCCL if there are GPUs."""
    import ray

    with_gpu = [node for node in nodes for _ in facts[node]["gpus"]["names"]]
    backend = "nccl" if len(with_gpu) > 1 and resources.device != "cpu" else "gloo"
    places = with_gpu if backend == "nccl" else [*nodes]
    ends = (places[0], places[-1])
    where = " and ".join(dict.fromkeys(ends))
    workers: list[Any] = []
    try:
        worker_class: Any = ray.remote(num_cpus=0, num_gpus=1 if backend == "nccl" else 0)(node_facts.Worker)
        workers = [worker_class.options(scheduling_strategy=_only_on(nodes[node])).remote() for node in ends]
        meet = ray.get(workers[0].address.remote(), timeout=PATIENCE)
        sums = ray.get([one.add.remote(rank, meet, backend) for rank, one in enumerate(workers)], timeout=PATIENCE)
    except Exception as error:  # any error of torch, NCCL, gloo or Ray is the finding
        advice = "GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME must name the interface that joins the nodes; firewalls; host names"
        said = f"{backend} over {where} fails: {first_line(error)}"
        return Finding("all-reduce", "fault", said, advice)
    finally:
        for worker in workers:
            ray.kill(worker)
    said, advice = f"{backend}, 2 workers on {where}", "the network or a device corrupts sums; do not train"
    if any(total != 3.0 for total in sums):
        return Finding("all-reduce", "fault", f"{said}: got {sums}, not 3", advice)
    return Finding("all-reduce", "ok", said)


def first_line(error: Exception) -> str:
    """An error's message in one line, without Ray's traceback."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    if isinstance(cause, UserError):
        return "; ".join(" ".join(line.split()) for line in lines)[:600]
    return f"{type(cause).__name__}: {lines[0][:300]}" if lines else type(cause).__name__
