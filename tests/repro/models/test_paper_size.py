"""58M at its own sequence length: trained for 21 steps through Tune, Train and DeepSpeed, stopped, resumed, exported."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, pipeline

from repro.__main__ import main
from repro.corpus import build
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from tests.repro.models import trainer
from tests.sweeps.driving import start, until

SWEEP = """
name: tiny
corpus: {{source: package, name: botocore}}
model: {{vocab: 32000, sequence: 2048}}
optimizer: {{batch: 1}}
sizes: {{58m: {{d_model: 512, layers: 6, heads: 8, mlp: 2048, lr: 1.0e-3}}}}
budgets: {{short: {ratio}}}
pruning: {{interval: 1, do_not_prune: [q_proj]}} # they begin 8 times smaller: 21 steps don't save one
evaluation: {{blocks: 2, block_sequences: 1}}
runs: [{{size: 58m, budget: short, sparsity: 0.8, id: 58m}}]
resources: {{device: cpu, checkpoint_every: 8}}
storage: {{corpus: {root}/data, results: {root}/results}}
"""
DENSE_STEPS = 8
PRUNABLE = 41_549_824


@pytest.mark.full
def test_58m_trains_stops_resumes_and_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP.format(root=tmp_path, ratio=DENSE_STEPS * 2048 / PRUNABLE))
    run = Folder.open(tmp_path / "results" / "tiny" / "runs" / "58m")
    process, _ = start(file)
    until(lambda: RunFolder(run).status().get("step", 0) >= 3 or process.poll() is not None, 1200)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 130, out
    at = RunFolder(run).status()["step"]
    assert 3 <= at < RunFolder(run).status()["total_steps"]
    assert (run / "checkpoint").names() == [f"step-{at:08d}"]
    process, _ = start(file)
    out, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, out
    status = RunFolder(run).status()
    assert (status["state"], status["step"]) == ("done", 21)

    spec, _ = RunFolder(run).spec()
    assert spec.model.shape.prunable == PRUNABLE
    text = build(spec.corpus, 32000, 2048, tmp_path / "data")
    model = tmp_path / "model"
    assert main(["export", str(run), str(model), "--compact", "--corpus", str(tmp_path / "data")]) == 0
    printed = capsys.readouterr().out
    print(printed)
    share = re.search(r"compact: [\d,]+ bytes, ([\d.]+)% of that", printed)
    assert share
    assert float(share[1]) <= 24
    queries = load_file(model / "model.safetensors")["model.layers.0.self_attn.q_proj.weight"]
    assert queries.count_nonzero() == queries.numel()
    tokens = torch.from_numpy(text.heldout.take(np.arange(1))[:, :-1].astype("int64"))
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(model)(tokens).logits
    difference = (theirs - trainer.logits(run, text, tokens)).abs().max()
    print(f"logits differ by at most {difference:.2e}; their spread is {theirs.std():.3f}")
    assert difference <= 1e-5
    [written] = pipeline("text-generation", model=str(model), device="cpu")("The request", max_new_tokens=8)
    assert written["generated_text"].startswith("The request")
    assert len(written["generated_text"]) > len("The request")
    claims = ["linear=41.55M", "total=57.94M", "sparsity=.8", "structure=unstructured"]
    assert main(["inspect", str(model), "--claim", *claims]) == 0
    assert main(["inspect", str(model / "compact"), "--claim", *claims]) == 0
