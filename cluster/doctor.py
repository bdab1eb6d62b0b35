"""`python -m cluster doctor`: what is wrong with an environment before a sweep finds out."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cluster import checks, probe
from cluster.checks import Finding
from repro import corpus
from repro.corpus.build import folder_of
from repro.corpus.sources import open_source
from repro.errors import UserError
from repro.resources import Resources
from repro.spec import CorpusSpec
from repro.storage import Folder
from sweeps.grid import Sweep, expand

EXAMPLES = """\
examples:
  python -m cluster doctor                                       this machine
  python -m cluster doctor sweeps/paper.yaml --storage s3://bucket/results
  python -m cluster doctor --address HEAD:6379 --json            a cluster; RAY_ADDRESS says it, too
exit code: 1 when there is a fault
"""
PATIENCE = 120.0  # seconds for a node to answer
DRIVER = "driver"


def add_parser(verbs: Any) -> None:
    """Adds the verb doctor."""
    command = verbs.add_parser(
        "doctor",
        help="say what is wrong with an environment before a sweep finds out",
        description="Check versions, GPUs, memory, disk, clocks, ports, tokens, storage and an all-reduce, on every node.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("file", nargs="?", metavar="FILE", help="sweep YAML: is the environment fit for it?")
    command.add_argument("--address", metavar="HEAD:PORT", help="of a cluster, instead of RAY_ADDRESS")
    command.add_argument("--storage", metavar="URI", help="root of the results folders, instead of the sweep's")
    command.add_argument("--json", action="store_true", help="for machines")


def main(given: argparse.Namespace) -> int:
    """Examines and prints. Returns the exit code."""
    if given.address:
        os.environ["RAY_ADDRESS"] = given.address
    found = []
    for finding in examine(given.file, given.storage):
        found.append(finding)
        if not given.json:
            print(f"{finding.level:<8} {finding.check:<10} {finding.found}", flush=True)
            if finding.advice:
                print(f"{'':<8} {'':<10} -> {finding.advice}", flush=True)
    faults, warnings = (sum(f.level == level for f in found) for level in ("fault", "warning"))
    if given.json:
        print(json.dumps({"faults": faults, "warnings": warnings, "findings": [asdict(f) for f in found]}, indent=1))
    else:
        print(f"{faults} faults, {warnings} warnings")
    return 1 if faults else 0


def examine(file: str | None, storage: str | None) -> Iterator[Finding]:
    """Every finding, as it comes: first of the sweep, then of the driver's machine, then of the nodes."""
    joins = bool(os.environ.get("RAY_ADDRESS"))
    sweep, finding = _sweep(file)
    if finding:
        yield finding
    resources = sweep.resources if sweep else Resources()
    results = _place(storage or (sweep.storage.results if sweep else None))
    corpora = _place(sweep.storage.corpus) if sweep else None
    local = [place for place in (results, corpora) if place and "://" not in place]
    here = probe.facts(checks.pinned(), local)
    if not joins:
        yield from checks.ports({DRIVER: here}, joined=False)
    try:
        nodes = _join(resources)
    except Exception as error:  # whatever Ray raises when it can't start or join: that is the finding
        yield from checks.versions({DRIVER: here})
        yield Finding(
            "cluster",
            "fault",
            f"Ray doesn't start or can't be joined: {_first_line(error)}",
            "RAY_ADDRESS, its token (RAY_AUTH_TOKEN_PATH), its Ray version, `ray status` there",
        )
        return
    answers, silent = _ask(nodes, probe.facts, checks.pinned(), local)
    for node, why in silent.items():
        yield Finding(
            "cluster", "fault", f"{node} runs no task: {why}", "its logs, under /tmp/ray/session_latest/logs there"
        )
    here["tokens"] = os.environ.get("RAY_AUTH_MODE", "").lower() == "token"  # Ray has settled it by now
    facts = {DRIVER: here, **answers}
    yield (
        Finding("cluster", "ok", f"{len(answers)} nodes answer")
        if joins
        else Finding("cluster", "ok", "a Ray of this machine starts")
    )
    yield from checks.versions(facts)
    yield from checks.gpus(answers, resources)
    yield from checks.compiler(answers, resources)
    yield from checks.memory(answers, sweep)
    yield from checks.disk(answers if joins else {DRIVER: here}, sweep, results)
    yield from checks.open_files(answers)
    yield from checks.clock(_skews(nodes, answers))
    if joins:
        yield from checks.ports(facts, joined=True)
    yield from checks.tokens(facts)
    live = {node: nodes[node] for node in answers}
    if results:
        yield from _storage("results", results, live)
    if sweep and corpora:
        if len(live) > 1:
            yield from _storage("corpus", corpora, live)
        yield from _corpora(sweep, live)
    yield _all_reduce(live, answers, resources)


def _sweep(file: str | None) -> tuple[Sweep | None, Finding | None]:
    """The sweep, and what is to be said of it: above all whether batches divide over workers and micro-batches."""
    if file is None:
        return None, None
    try:
        sweep = expand(file)
    except UserError as error:
        what, *rest = str(error).splitlines()
        return None, Finding("sweep", "fault", what, "; ".join(" ".join(line.split()) for line in rest))
    return sweep, Finding(
        "sweep", "ok", f"{len(sweep.runs)} runs, batches divide over {sweep.resources.workers} workers"
    )


def _place(uri: str | None) -> str | None:
    return uri if uri is None or "://" in uri else os.path.abspath(uri)


def _join(resources: Resources) -> dict[str, str]:
    """Joins the cluster, or starts one of this machine; returns node name -> Ray's id of it."""
    import ray

    from sweeps import tuner

    tuner.connect(None, resources)
    alive = [node for node in ray.nodes() if node["Alive"]]
    return {f"node {i} ({node['NodeManagerAddress']})": node["NodeID"] for i, node in enumerate(alive)}


def _ask(nodes: dict[str, str], what: Callable[..., Any], *words: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """What a function returns on each node, and why others didn't answer."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {
        node: ray.remote(num_cpus=0, max_retries=0)(what)
        .options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False))
        .remote(*words)
        for node, node_id in nodes.items()
    }
    answers, silent = {}, {}
    for node, reply in asked.items():
        try:
            answers[node] = ray.get(reply, timeout=PATIENCE)
        except (
            Exception
        ) as error:  # of the node, its environment or the function: the doctor reports, it doesn't fall ill
            silent[node] = _first_line(error)
    return answers, silent


def _skews(nodes: dict[str, str], answers: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """By node, seconds ahead of the driver, and half of how long asking took. A process is there from the first question."""
    skews = {}
    for node in answers:
        began = time.time()
        reply, _ = _ask({node: nodes[node]}, probe.now)
        ended = time.time()
        if node in reply:
            skews[node] = (reply[node] - (began + ended) / 2, (ended - began) / 2)
    return skews


def _storage(what: str, root: str, nodes: dict[str, str]) -> Iterator[Finding]:
    """Each node and the driver write a file; each reads all; nothing is left."""
    made = _made(root)
    place = f"{root.rstrip('/')}/.doctor-{secrets.token_hex(4)}"
    names = {DRIVER: DRIVER, **nodes}
    try:
        why_not = {}
        for node, name in names.items():
            reply, silent = (
                ({DRIVER: probe.write(place, name)}, {})
                if node == DRIVER
                else _ask({node: nodes[node]}, probe.write, place, name)
            )
            why = silent.get(node) or reply.get(node)
            if why:
                why_not[node] = why
        written = [name for node, name in names.items() if node not in why_not]
        lost, _ = _ask(nodes, probe.missing, place, written)
        lost[DRIVER] = probe.missing(place, written)
        by_name = {name: node for node, name in names.items()}
        unread = {node: [by_name[name] for name in found] for node, found in lost.items() if found}
    except (OSError, ValueError) as error:  # a URI that no file system knows
        why_not, unread = {DRIVER: str(error)}, {}
    finally:
        _ask(nodes, probe.clear, place, made)
        probe.clear(place, made)
    yield from checks.storage(what, root, why_not, unread)


def _made(root: str) -> list[str]:
    """The folders, innermost first, that come into being when something is written under `root`."""
    if "://" in root:
        return [] if _seen(root) else [root]
    made, path = [], Path(root)
    while not path.exists():
        made.append(str(path))
        path = path.parent
    return made


def _seen(uri: str) -> bool:
    try:
        return Folder.open(uri).exists()
    except (OSError, ValueError):
        return True


def _corpora(sweep: Sweep, nodes: dict[str, str]) -> Iterator[Finding]:
    """Each corpus: there, on every node; or to be built from a source that is there."""
    root = sweep.storage.corpus
    wanted = {(run.spec.corpus, run.spec.model.vocab, run.spec.model.sequence) for run in sweep.runs}
    for spec, vocab, sequence in wanted:
        try:
            folder = folder_of(spec, vocab, sequence, root)
            if not folder.exists():
                yield _source(spec)
                continue
            text = corpus.Corpus(folder)
        except UserError as error:
            what, *rest = str(error).splitlines()
            yield Finding("corpus", "fault", f"{spec.name}: {what}", "; ".join(" ".join(line.split()) for line in rest))
            continue
        seen, _ = _ask(nodes, probe.exists, str(folder))
        blind = [node for node in nodes if not seen.get(node)]
        if blind:
            yield Finding(
                "corpus",
                "fault",
                f"{', '.join(blind)} doesn't see {folder}",
                "mount storage.corpus at the same path on every node, or build it there: python -m repro corpus FILE",
            )
        else:
            yield Finding("corpus", "ok", f"{spec.name}: {text.unique_tokens:,} tokens at {folder}")


def _source(spec: CorpusSpec) -> Finding:
    """Whether a corpus that isn't built can be. Raises UserError when its source isn't here."""
    source = open_source(spec)
    said = f"{spec.name} isn't built yet; the first run builds it from its source ({spec.source})"
    if spec.source != "huggingface":
        next(iter(source.documents()), None)
        return Finding("corpus", "ok", said)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(spec.name, revision=spec.revision, timeout=10)
    except (HfHubHTTPError, OSError, RuntimeError) as error:
        return Finding(
            "corpus",
            "fault",
            f"{spec.name} isn't built, and the hub doesn't give it: {_first_line(error)}",
            "a network, HF_TOKEN; or build it where there is one: python -m repro corpus FILE",
        )
    return Finding("corpus", "ok", said)


def _all_reduce(nodes: dict[str, str], facts: dict[str, Any], resources: Resources) -> Finding:
    """Two workers, on two nodes where there are two, add their numbers up, over NCCL where there are GPUs."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    with_gpu = [node for node in nodes for _ in facts[node]["gpus"]["names"]]
    backend = "nccl" if len(with_gpu) > 1 and resources.device != "cpu" else "gloo"
    places = with_gpu if backend == "nccl" else [*nodes]
    ends = (places[0], places[-1])
    workers = []
    try:
        workers = [
            ray.remote(num_cpus=0, num_gpus=1 if backend == "nccl" else 0)(probe.Worker)
            .options(scheduling_strategy=NodeAffinitySchedulingStrategy(nodes[node], soft=False))
            .remote()
            for node in ends
        ]
        meet = ray.get(workers[0].address.remote(), timeout=PATIENCE)
        sums = ray.get(
            [worker.add.remote(rank, meet, backend) for rank, worker in enumerate(workers)], timeout=PATIENCE
        )
    except Exception as error:  # of torch, NCCL, gloo or Ray: that is the finding
        advice = "GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME must name the interface that joins the nodes; firewalls; host names"
        return Finding(
            "all-reduce",
            "fault",
            f"{backend} over {' and '.join(dict.fromkeys(ends))} fails: {_first_line(error)}",
            advice,
        )
    finally:
        for worker in workers:
            ray.kill(worker)
    right = all(total == 3.0 for total in sums)
    said = f"{backend}, 2 workers on {' and '.join(dict.fromkeys(ends))}" + ("" if right else f": got {sums}, not 3")
    return Finding(
        "all-reduce",
        "ok" if right else "fault",
        said,
        "" if right else "the network or a device garbles sums; do not train",
    )


def _first_line(error: Exception) -> str:
    """What an error says, without Ray's traceback: its last line where there is one."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0][:300]}" if lines else type(cause).__name__
