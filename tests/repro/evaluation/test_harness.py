"""Tasks of lm-evaluation-harness on local data, offline."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from repro import tables
from repro.__main__ import main
from repro.store.folder import Folder

Evaluate = Callable[..., dict[str, Any]]
QUESTIONS = [
    ("A class is made by a", ["class statement", "loop", "number"], 0),
    ("Strings are", ["mutable", "immutable sequences of text", "files"], 1),
    ("The keyword that ends a loop is", ["break", "start", "import"], 0),
    ("A tuple holds", ["one item", "nothing", "items in order"], 2),
    ("None is", ["a value of its own type", "zero", "an error"], 0),
]
TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
target_delimiter: " "
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
CLOZE = """
task: pycloze
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: loglikelihood
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{' ' + choices[answer]}}}}"
metric_list:
  - {{metric: perplexity, aggregation: perplexity, higher_is_better: false}}
metadata: {{version: 2.0}}
"""


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two tasks, whose data lie beside them."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = [{"question": q, "choices": c, "answer": a} for q, c, a in QUESTIONS]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "pyquiz.yaml").write_text(TASK.format(name="pyquiz", data=folder / "data.jsonl"))
    (folder / "pycloze.yaml").write_text(CLOZE.format(data=folder / "data.jsonl"))
    return folder


@torch.no_grad()
def by_hand(folder: Path) -> tuple[float, float, float]:
    """Shares of questions whose answer is the likeliest, by sum and by sum a character; perplexity of the answers."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    right, likelihoods = np.zeros((len(QUESTIONS), 2)), []
    for row, (question, choices, answer) in enumerate(QUESTIONS):
        sums = []
        for choice in choices:
            known = len(tokenizer(question).input_ids)
            ids = torch.tensor([tokenizer(f"{question} {choice}").input_ids])
            said = model(ids).logits.log_softmax(-1)[0, known - 1 : -1]
            sums.append(said.gather(1, ids[0, known:, None]).sum().item())
        right[row] = [np.argmax(sums) == answer, np.argmax(sums / np.array([*map(len, choices)])) == answer]
        likelihoods.append(sums[answer])
    return right[:, 0].mean(), right[:, 1].mean(), float(np.exp(-np.mean(likelihoods)))


@pytest.mark.system
def test_tasks_on_local_data_are_scored_as_by_hand_and_kept(
    published: Path, tasks: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    rows = evaluate(published, "--tasks", "pyquiz,pycloze", "--tasks-path", tasks, "--out", tmp_path)["tasks"]
    found = {row["metric"]: row for row in rows}
    values = found["acc"]["value"], found["acc_norm"]["value"], found["perplexity"]["value"]
    assert values == pytest.approx(by_hand(published), rel=1e-5)
    asked = len(QUESTIONS)
    for metric in ("acc", "acc_norm"):
        share = found[metric]["value"]
        assert found[metric]["value_se"] == pytest.approx((share * (1 - share) / (asked - 1)) ** 0.5)
    assert found["perplexity"]["value_se"] > 0
    for row in rows:
        assert (row["samples"], row["filter"], row["fewshot"]) == (asked, "none", 0)
        assert row["higher_is_better"] is (row["metric"] != "perplexity")
        assert (row["task"], row["task_version"]) == (
            ("pycloze", "2.0") if row["metric"] == "perplexity" else ("pyquiz", "1.0")
        )
    assert tables.read(Folder.open(tmp_path), "tasks.parquet").to_pylist() == rows


@pytest.mark.system
def test_a_run_takes_tasks_too_beside_its_text(
    results: Path, tasks: Path, evaluate: Evaluate, text: Any, tmp_path: Path
) -> None:
    run = results / "runs" / "sparse"
    found = evaluate(
        run, text.folder, "--tasks", "pyquiz", "--tasks-path", tasks, "--limit", 3, "--fewshot", 1, "--out", tmp_path
    )
    assert len(found["evaluations"]) == 1
    assert {(row["metric"], row["samples"], row["fewshot"]) for row in found["tasks"]} == {
        ("acc", 3, 1),
        ("acc_norm", 3, 1),
    }
    assert {row["model"] for row in found["tasks"]} == {"sparse"}


@pytest.mark.system
def test_an_unknown_task_is_refused(published: Path, tasks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(published), "--tasks", "pyquiz,pyquid", "--tasks-path", str(tasks)]) == 2
    err = capsys.readouterr().err
    assert "no such task" in err
    assert "found:    pyquid" in err


@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is not None, reason="the harness is installed")
def test_without_the_harness_tasks_are_refused_at_once(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(published), "--tasks", "arc_easy"]) == 2
    assert 'pip install "lm_eval[hf]"' in capsys.readouterr().err
