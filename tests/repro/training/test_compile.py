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
from repro.training import model
from repro.training.distributed import process_group
from repro.training.run import RunInProgress
from repro.training.trainer import Trainer
from repro.training.zero import DeepSpeedEngine
from tests.conftest import SEQUENCE, TEXT, VOCAB

Make = Callable[..., RunSpec]


def trained(spec: RunSpec, text: Corpus, folder: Path, stage: int, backend: Any) -> tuple[dict[str, Any], list[Any]]:
    """The row of a run whose model is compiled by `backend`, not at all if None, and its rows of kept weights."""
    resources = Resources(device="cpu", micro_batch=2, zero_stage=stage)  # type: ignore[arg-type]
    run = RunInProgress(spec, RunFolder(Folder.open(folder)), text, resources)
    with process_group(run.device):
        network = model.build(spec.model, spec.seed)
        if backend is not None:
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


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["concatenate", "documents"])
@pytest.mark.parametrize(("stage", "precision"), [(1, "fp32"), (2, "bf16")])
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
    spec = replace(make_spec(precision=precision), corpus=corpus.manifest.spec)
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
def test_inductors_code_trains_and_prunes_and_the_next_run_of_its_shape_finds_it(
    documents: Corpus, make_spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    spec = replace(make_spec(dense_steps=20), corpus=documents.manifest.spec)
    spec = replace(spec, model=replace(spec.model, layers=1))
    plain, _ = trained(spec, documents, tmp_path / "plain", 2, None)
    rows = []
    for number in range(2):
        counters.clear()
        rows.append(trained(replace(spec, seed=number), documents, tmp_path / str(number), 2, "inductor")[0])
        found = counters["inductor"]["fxgraph_cache_hit"] + counters["aot_autograd"]["autograd_cache_hit"]
        assert bool(found) == (number == 1), counters
    assert rows[0]["loss"] == pytest.approx(plain["loss"], rel=1e-5)
