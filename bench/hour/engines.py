"""Part 1: engines one after the other in one process at every ZeRO stage, against the same on the CPU."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bench.hour.part import Finding, Part
from repro.corpus import Corpus
from repro.resources import Resources, Stage
from repro.spec import CorpusSpec, EvalSpec, ModelSpec, OptimizerSpec, Precision, PruningSpec, RunSpec

STEPS, VOCAB, SEQUENCE = 10, 300, 64
TEXT = CorpusSpec("package", "pydoc", heldout_fraction=0.1, packing="documents")
TOLERANCE = {"fp32": 1e-5, "bf16": 0.02}  # nats by which a step's loss may differ from the CPU's


@dataclass(frozen=True)
class Life:
    """Ten steps of a run: the loss of each in nats, and a hash of the masks of the event before the first."""

    losses: list[float]
    masks: str


def run(part: Part) -> None:
    """Trains a run on the device at each stage, twice at each precision, and compares it with the CPU's."""
    text = text_of(part.texts)
    on_cpu = {precision: _on_a_cpu(part, text, precision) for precision in get_args(Precision)}
    for precision, wanted in on_cpu.items():
        for stage in get_args(Stage):
            for again in (False,) if part.cpu else (False, True):
                name = f"ZeRO {stage}, {precision}{', a second engine' if again else ''}"
                found = life(text, precision, Resources(device="cpu" if part.cpu else "cuda", zero_stage=stage))
                part.add(Finding(f"{name}: masks are the CPU's to the bit", found.masks == wanted.masks))
                apart = max(abs(a - b) for a, b in zip(found.losses, wanted.losses, strict=True))
                part.add(Finding(f"{name}: loss from the CPU's", apart, "nats", most=TOLERANCE[precision]))


def spec_of(precision: Precision) -> RunSpec:
    """A small run with an event before its first step and none after it."""
    model, optimizer = ModelSpec(64, 2, 1, 256, VOCAB, SEQUENCE), OptimizerSpec(1e-3, 4)
    pruning = PruningSpec(0.8, shape="constant", interval=1)
    return RunSpec(
        "engines", "", "", model, TEXT, optimizer, pruning, 4, precision=precision, evaluation=EvalSpec(2, 1)
    )


def text_of(root: Path) -> Corpus:
    from repro.corpus import build

    return build(TEXT, VOCAB, SEQUENCE, str(root))


def life(text: Corpus, precision: Precision, resources: Resources) -> Life:
    """The first STEPS steps of a new engine."""
    from bench.speed import training

    with training(spec_of(precision), text, resources) as trainer:
        for step in range(STEPS):
            trainer.step(step)
        trainer.watch.look()
        masks = trainer.pruner.masks.buffer.cpu().numpy().tobytes()
        losses = [row["loss_train"] for row in trainer.log.curve]
    assert len(losses) == STEPS, "not every step of a short run was logged"
    return Life(losses, hashlib.sha256(masks).hexdigest())


def _on_a_cpu(part: Part, text: Corpus, precision: Literal["fp32", "bf16"]) -> Life:
    """The same at stage 1 on this machine's CPU; where the device is a GPU, in a process that sees none.

    DeepSpeed chooses its accelerator once a process.
    """
    if part.cpu:
        return life(text, precision, Resources(device="cpu"))
    with tempfile.NamedTemporaryFile("r") as answer:
        words = [sys.executable, "-m", "bench.hour.engines", str(text.folder), precision, answer.name]
        subprocess.run(words, env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"}, check=True)
        return Life(**json.loads(Path(answer.name).read_text()))


if __name__ == "__main__":
    folder, wanted, answer = sys.argv[1:]
    made = life(Corpus(Path(folder)), "bf16" if wanted == "bf16" else "fp32", Resources(device="cpu"))
    Path(answer).write_text(json.dumps({"losses": made.losses, "masks": made.masks}))
