"""`python -m cluster doctor`: preflight check of an environment before a sweep."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from cluster import checks, node_facts
from cluster.checks import Finding
from cluster.remote_checks import DRIVER, all_reduce, ask, first_line, join, round_trip, skews_of
from cluster.versions import locked
from repro import corpus
from repro.console import commands
from repro.console.options import ADDRESS, JSON, RESULTS_ROOT, SWEEP, earlier
from repro.corpus.build import folder_of
from repro.corpus.sources import open_source
from repro.errors import UserError
from repro.paths import expand as expand_place
from repro.resources import Resources
from repro.spec import CorpusSpec
from sweeps.grid import Sweep, expand

EXAMPLES = (
    ("sweeps/laptop.yaml", "this machine, for that sweep"),
    ("--address head:6379 --json", "a cluster, for a program"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb doctor."""
    command = commands.add(
        verbs, "doctor",
        "Checks versions, GPUs, memory, disk, clocks, ports, tokens, storage and an all-reduce on every node, before a sweep. "
        "The exit code is 1 if there is a fault.",
        EXAMPLES,
    )  # fmt: skip
    SWEEP.add(command, "to check its needs too", nargs="?")
    ADDRESS.add(command, default_is="RAY_ADDRESS, else this machine")
    RESULTS_ROOT.add(command, default_is="the sweep's storage.results")
    earlier(command, "--storage", "--results")
    JSON.add(command)
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Runs the checks and prints the findings. Returns the exit code."""
    if given.address:
        os.environ["RAY_ADDRESS"] = given.address
    found = []
    for finding in examine(given.file, given.results):
        found.append(finding)
        if not given.json:
            print(f"{finding.level:<8} {finding.check:<10} {finding.found}", flush=True)
            if finding.advice:
                print(f"{'':<8} {'':<10} -> {finding.advice}", flush=True)
    faults, warnings = (sum(f.level == level for f in found) for level in ("fault", "warning"))
    if given.json:
        print(json.dumps({"faults": faults, "warnings": warnings, "findings": [asdict(f) for f in found]}, indent=1))
    else:
        print(f"faults: {faults}, warnings: {warnings}")
    return 1 if faults else 0


def examine(file: str | None, storage: str | None) -> Iterator[Finding]:
    """Yields findings as they come: about the sweep, the driver's machine, then the nodes."""
    joins = bool(os.environ.get("RAY_ADDRESS"))
    sweep = None
    if file is not None:
        try:
            sweep = expand(file)
        except UserError as error:
            yield _fault("sweep", error)
        else:
            runs = f"{len(sweep.runs)} run{'s' if len(sweep.runs) > 1 else ''}"
            yield Finding("sweep", "ok", f"{runs}, batches divide over {sweep.resources.workers} workers")
    resources = sweep.resources if sweep else Resources()
    results = _place(storage or (sweep.storage.results if sweep else None))
    corpora = _place(sweep.storage.corpus) if sweep else None
    local = [place for place in (results, corpora) if place and "://" not in place]
    here = node_facts.facts(locked(), local)
    if not joins:
        yield from checks.ports({DRIVER: here}, joined=False)
    try:
        nodes = join(resources)
    except Exception as error:  # any error with which Ray fails to start or join is the finding
        yield from checks.versions({DRIVER: here})
        advice = "RAY_ADDRESS, its token (RAY_AUTH_TOKEN_PATH), its Ray version, `ray status` there"
        yield Finding("cluster", "fault", f"Ray doesn't start or can't be joined: {first_line(error)}", advice)
        return
    answers, silent = ask(nodes, node_facts.facts, locked(), local)
    for node, why in silent.items():
        advice = "its logs, under /tmp/ray/session_latest/logs there"
        yield Finding("cluster", "fault", f"{node} runs no task: {why}", advice)
    here["tokens"] = os.environ.get("RAY_AUTH_MODE", "").lower() == "token"  # final once Ray is initialised
    facts = {DRIVER: here, **answers}
    yield Finding("cluster", "ok", f"{len(answers)} nodes answer" if joins else "a Ray of this machine starts")
    yield from checks.versions(facts)
    yield from checks.gpus(answers, resources)
    yield from checks.compiler(answers, resources)
    yield from checks.memory(answers, sweep)
    yield from checks.disk(answers if joins else {DRIVER: here}, sweep, results)
    yield from checks.open_files(answers)
    yield from checks.clock(skews_of(nodes, answers))
    if joins:
        yield from checks.ports(facts, joined=True)
    yield from checks.tokens(facts)
    live = {node: nodes[node] for node in answers}
    if not live:
        return
    if results:
        yield from round_trip("results", results, live)
    if sweep and corpora:
        if len(live) > 1:
            yield from round_trip("corpus", corpora, live)
        yield from _corpora(sweep, live)
    yield all_reduce(live, answers, resources)


def _fault(check: str, error: UserError, of: str = "") -> Finding:
    what, *rest = str(error).splitlines()
    return Finding(check, "fault", f"{of}{what}", "; ".join(" ".join(line.split()) for line in rest))


def _place(uri: str | None) -> str | None:
    place = uri if uri is None else expand_place(uri)
    return place if place is None or "://" in place else os.path.abspath(place)


def _corpora(sweep: Sweep, nodes: dict[str, str]) -> Iterator[Finding]:
    """Each corpus: whether it exists on every node, or can be built from an available source."""
    root = sweep.storage.corpus
    wanted = {(spec.corpus, spec.model.vocab, spec.model.sequence) for spec in sweep.specs}
    for spec, vocab, sequence in wanted:
        try:
            folder = folder_of(spec, vocab, sequence, root)
            if not folder.exists():
                yield _source(spec)
                continue
            text = corpus.Corpus(folder)
        except UserError as error:
            yield _fault("corpus", error, f"{spec.name}: ")
            continue
        seen, _ = ask(nodes, node_facts.exists, str(folder))
        blind = [node for node in nodes if not seen.get(node)]
        if blind:
            advice = "mount storage.corpus at the same path on every node, or build it there: python -m repro corpus build FILE"
            yield Finding("corpus", "fault", f"{', '.join(blind)} doesn't see {folder}", advice)
        else:
            yield Finding("corpus", "ok", f"{spec.name}: {text.unique_tokens:,} tokens at {folder}")


def _source(spec: CorpusSpec) -> Finding:
    """Whether a missing corpus can be built. Raises UserError if its source isn't available."""
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
        advice = "a network, HF_TOKEN; or build it where there is one: python -m repro corpus build FILE"
        said = f"{spec.name} isn't built, and the hub doesn't give it: {first_line(error)}"
        return Finding("corpus", "fault", said, advice)
    return Finding("corpus", "ok", said)
