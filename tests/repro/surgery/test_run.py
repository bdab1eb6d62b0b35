"""Surgery on a run: its weights are those of its export, and a child trains on from what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.corpus import Corpus
from repro.evaluation import texts
from repro.evaluation.reader import TextReader
from repro.models import export
from repro.models.folder import start_from
from repro.models.start import weights
from repro.resources import Resources
from repro.spec import ModelSpec, RunSpec
from repro.store.folder import Folder
from repro.surgery.calibration_set import draw
from repro.surgery.methods import prune
from repro.surgery.net import net_of, net_of_run
from repro.training import model
from repro.training.train import train


@pytest.mark.slow
def test_a_run_is_pruned_as_its_export_is_and_a_child_has_the_pruned_models_logits(
    make_spec: Callable[..., RunSpec], text: Corpus, tmp_path: Path
) -> None:
    """With the authors' initialisation, whose queries are scaled: at the export, and back again in the child."""
    spec = replace(make_spec(0.0, dense_steps=12), model=ModelSpec(32, 3, 4, 48, 300, 32, kv_heads=2, tied=True))
    run = Folder.open(tmp_path / "run")
    train(spec, run, text, Resources(device="cpu"))
    export.export(run, tmp_path / "model", text)
    net = net_of_run(run)
    exported = net_of(str(tmp_path / "model"))
    assert net.spec == exported.spec == replace(spec.model, init="transformers")
    assert all(torch.equal(net.weights[name], weight) for name, weight in exported.weights.items())

    found = draw(texts.read(text, TextReader.of(text.tokenizer)), 6, 32, seed=1)
    made = prune(net, "width-taylor", 0.2, text=found, groups=1)
    made.net.network().save_pretrained(tmp_path / "pruned")
    child = replace(made.net.spec, init="fan_in")
    trains = model.build(child, seed=5)
    own = dict(trains.named_parameters())
    start = weights(child, start_from(str(tmp_path / "pruned")), {name: one.shape for name, one in own.items()})
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(start[name].view(parameter.shape))
        tokens = torch.from_numpy(text.heldout.take(np.arange(4))[:, :-1].astype("int64"))
        plain = made.net.network()(tokens).logits
        torch.testing.assert_close(trains(tokens).logits, plain, rtol=1e-4, atol=1e-4)
