"""Part 5: a size of sweeps/gpu.yaml killed and resumed, short of memory, exported and evaluated."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil

from bench.apart import ENV, sizes
from bench.hour.part import Finding, Part
from bench.speed import measured_spec
from bench.texts import text_of
from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import PruningSpec, RunSpec, load
from repro.store.folder import Folder
from sweeps.grid import expand
from sweeps.memory import worker_of

EVERY = 40  # steps between checkpoints


def run(part: Part) -> None:
    file, size, steps = ("sweeps/quick.yaml", "4k", 60) if part.cpu else ("sweeps/gpu.yaml", "1m", 200)
    sweep = expand(file)
    spec = sizes(sweep)[size]
    text = text_of(spec, str(part.texts), "cpu" if part.cpu else "cuda")
    spec = replace(measured_spec(spec, text), dense_steps=steps)
    usual = replace(sweep.resources.of(spec), workers=1, device="cpu" if part.cpu else "cuda", checkpoint_every=EVERY)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=part.out) as scratch:
        root = Path(scratch)
        _kill(part, spec, text, usual, root)
        _out(part, text, root)
        _too_large(part, spec, text, usual, root)
        if not part.cpu:  # where every run is
            _kill(part, spec, text, replace(usual, deterministic=True), root)


def _kill(part: Part, spec: RunSpec, text: Corpus, resources: Resources, root: Path) -> None:
    """Trains once without and once with a SIGKILL after a checkpoint, and compares the two.

    Where they needn't be equal to the bit, a second run without one shows by how much two runs differ anyway.
    """
    exact = part.cpu or resources.deterministic
    name = "deterministic" if resources.deterministic else "as the sweep has it"
    whole, broken, again = (root / f"{kind} {name}" for kind in ("whole", "broken", "again"))
    expected = _trained(spec, text, resources, whole)
    part.say(f"{name}: trained once, held-out loss {expected['loss']:.4f}")
    asked = {"resources": asdict(resources), "spec": str(whole), "text": str(text.folder), "out": str(broken)}
    words = [sys.executable, "-m", "bench.hour.life", json.dumps(asked)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=os.environ | ENV)
    try:
        while process.poll() is None and not list((broken / "checkpoint").glob("*/manifest.json")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
    finally:
        process.kill()
    part.add(Finding(f"{name}: killed after a checkpoint", killed))
    others = {"the resumed run": broken} | ({} if exact else {"a second whole run": again})
    for kind, folder in others.items():
        found = _trained(spec, text, resources, folder)
        apart = max(abs(a - b) for a, b in zip(found["loss_blocks"], expected["loss_blocks"], strict=True))
        part.add(Finding(f"{name}: held-out loss of {kind} from the first's", apart, "nats", most=0 if exact else None))


def _trained(spec: RunSpec, text: Corpus, resources: Resources, out: Path) -> dict[str, Any]:
    """The row of a run that is trained, or resumed, to its end."""
    from repro.training.train import train

    out.mkdir(exist_ok=True)
    return train(spec, Folder.open(str(out)), text, resources)


def _too_large(part: Part, spec: RunSpec, text: Corpus, usual: Resources, root: Path) -> None:
    """A micro-batch that needs one and a half times the memory: the run goes on with smaller ones.

    It isn't compiled, which would be done anew for each of them.
    """
    with _short_of_memory(part) as room:
        batch, eager = 8, replace(usual, micro_batch=None, compile=False)
        while worker_of(spec, eager, batch, zero_stage=1).activations < 1.5 * room:
            batch *= 2
        greedy = replace(spec, optimizer=replace(spec.optimizer, batch=batch), dense_steps=2, pruning=PruningSpec())
        row = _trained(greedy, text, eager, root / "greedy")
    part.say(f"a batch of {batch} sequences was trained in micro-batches of {row['micro_batch']}")
    part.add(Finding("out of memory, the run goes on with smaller micro-batches", row["micro_batch"] < batch))


@contextlib.contextmanager
def _short_of_memory(part: Part) -> Iterator[float]:
    """The memory that there is, in bytes; on a CPU limited to little more than what is in use."""
    if not part.cpu:
        import torch

        yield torch.cuda.get_device_properties(0).total_memory
        return
    room, before = 150e6, resource.getrlimit(resource.RLIMIT_AS)
    in_use = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (int(in_use + room), before[1]))
    try:
        yield room
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _out(part: Part, text: Corpus, root: Path) -> None:
    """Exports a run and evaluates it and the export by the commands; both have the same loss."""
    trained, model = next(root.glob("whole *")), root / "model"
    _said("export", str(trained), str(model), "--compact", "--corpus", str(part.texts))
    losses, most, device = [], str(5000 if part.cpu else 200_000), "cpu" if part.cpu else "cuda"
    for place in (trained, model):
        words = [str(place), str(text.folder), "--corpus", str(part.texts), "--precision", "fp32", "--max-tokens", most]
        words += ["--device", device, "--out", str(root / "evaluated"), "--json"]
        [row] = json.loads(_said("evaluate", *words))["evaluations"]
        losses.append(row["loss"])
    part.say(f"exported at {losses[1]:.4f} nats/token")
    part.add(Finding("loss of the export from the run's", abs(losses[0] - losses[1]), "nats", most=1e-4))


def _said(*words: str) -> str:
    """What a command of `repro` prints; an error if it fails."""
    from repro.__main__ import main as command

    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()) as complaints:
        code = command(list(words))
    if code:
        raise RuntimeError(f"python -m repro {words[0]} ended with {code}: {complaints.getvalue()[-500:]}")
    return said.getvalue()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    _trained(load(given["spec"]), Corpus(Path(given["text"])), Resources(**given["resources"]), Path(given["out"]))
