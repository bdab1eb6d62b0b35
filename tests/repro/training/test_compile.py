"""A compiled run trains and prunes like one that isn't, as one graph with gradients and one without."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.utils import counters

from repro.corpus import Corpus, build
from repro.corpus.packing import Packing
from repro.resources import Resources
from repro.spec import Precision, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import model, train
from repro.training.distributed import process_group
from repro.training.run import RunInProgress
from repro.training.trainer import Trainer
from repro.training.zero import DeepSpeedEngine
from tests.conftest import SEQUENCE, TEXT, VOCAB
from tests.repro.training.lives import assert_same, stopped

Make = Callable[..., RunSpec]


def trained(spec: RunSpec, text: Corpus, folder: Path, stage: int, backend: Any) -> tuple[dict[str, Any], list[Any]]:
    """The row of a run whose model is compiled by `backend`, not at all if None, and its rows of kept weights."""
    resources = Resources(device="cpu", micro_batch=2, zero_stage=stage)  # type: ignore[arg-type]
    run = RunInProgress(spec, RunFolder(Folder.open(folder)), text, resources)
    with process_group(run.device):
        network = model.build(spec.model, spec.seed)
        if backend is not None:
            torch._dynamo.reset()  # graphs of a run before
            network.compile(backend)
        engine = DeepSpeedEngine(
            network,
            spec.optimizer,
            stage=stage,
            precision=spec.precision,
            micro_batch=run.micro,
            accumulation=run.accumulation,
            device=run.device,
        )
        with closing(engine):
            trainer = Trainer(run, engine, time.perf_counter())
            return trainer.fit(), trainer.log.layers


@pytest.fixture(scope="module")
def documents(text_root: Path) -> Corpus:
    return build(replace(TEXT, packing="documents"), VOCAB, SEQUENCE, text_root)


class Graphs:
    """A compiler that leaves the operations as they are and notes the attention in each graph: masked or not."""

    def __init__(self) -> None:
        self.masked: list[bool] = []

    def __call__(self, graph: torch.fx.GraphModule, inputs: Any) -> Any:
        for node in graph.graph.nodes:
            if node.op == "call_function" and "scaled_dot_product" in str(node.target):
                self.masked.append(node.kwargs.get("attn_mask") is not None or not node.kwargs.get("is_causal"))
        return aot_autograd(fw_compiler=lambda made, _: made.forward)(graph, inputs)


@pytest.mark.full  # what inductor makes of the two graphs: below
@pytest.mark.parametrize(("packing", "stage", "precision"), [("concatenate", 1, "fp32"), ("documents", 2, "bf16")])
def test_a_run_is_two_graphs_without_a_break_and_prunes_as_it_does_uncompiled(
    packing: Packing,
    stage: int,
    precision: Precision,
    text: Corpus,
    documents: Corpus,
    make_spec: Make,
    tmp_path: Path,
) -> None:
    corpus = documents if packing == "documents" else text
    spec = replace(make_spec(dense_steps=16, precision=precision), corpus=corpus.manifest.spec, repeat=True)
    plain, expected = trained(spec, corpus, tmp_path / "plain", stage, None)
    counters.clear()
    graphs = Graphs()
    row, layers = trained(spec, corpus, tmp_path / "compiled", stage, graphs)
    assert counters["stats"]["unique_graphs"] == 2
    assert not counters["graph_break"]
    assert len(graphs.masked) == 2 * spec.model.layers
    assert any(graphs.masked) == (packing == "documents")  # only a CPU takes a mask, and only for documents
    assert row["loss"] == pytest.approx(plain["loss"], rel=1e-5 if precision == "fp32" else 1e-2)
    assert [(one["event"], one["tensor"]) for one in layers] == [(one["event"], one["tensor"]) for one in expected]
    assert sum(one["kept"] for one in layers) == sum(one["kept"] for one in expected)


@pytest.mark.slow
def test_inductors_code_trains_prunes_and_resumes_and_the_next_run_of_its_shape_makes_no_graph(
    documents: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec = replace(make_spec(dense_steps=20), corpus=documents.manifest.spec, repeat=True)
    spec = replace(spec, model=replace(spec.model, layers=1))
    plain, compiled, again = (Folder.open(tmp_path / name) for name in ("plain", "compiled", "again"))
    resources = Resources(device="cpu", zero_stage=2, checkpoint_every=5)
    expected = train.train(spec, plain, documents, resources)
    torch._dynamo.reset()
    counters.clear()
    row = train.train(spec, compiled, documents, replace(resources, compile=True))
    assert row["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert counters["stats"]["unique_graphs"] == 2
    stopped(spec, again, documents, replace(resources, compile=True), 12)
    train.train(spec, again, documents, replace(resources, compile=True))
    assert_same(again, compiled, "stopped before step 12")
    assert counters["stats"]["unique_graphs"] == 2
