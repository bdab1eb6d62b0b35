"""Prices of sweeps: what a run costs, totals with shared runs once, and the printed forms."""

import json
from pathlib import Path

import pytest

from repro.corpus import build
from sweeps import plan, plan_report
from sweeps.grid import expand
from tests.sweeps import tiny

SWEEPS = Path(__file__).parents[2] / "sweeps"
FIELDS = {
    "run_id",
    "fingerprint",
    "studies",
    "size",
    "seed",
    "sparsity",
    "start",
    "end",
    "start_step",
    "end_step",
    "total_steps",
    "tokens",
    "N_total",
    "N_prunable",
    "N_avg",
    "N_final",
    "density_avg",
    "effective_flops",
}


def test_a_run_is_described_by_what_its_schedule_promises():
    run = next(run for run in expand(SWEEPS / "laptop.yaml").runs if run.spec.run_id == "45k-long-s80-d25-p50-seed0")
    row = plan.describe(run)
    assert row.keys() >= FIELDS
    assert row["N_final"] == int((1 - 0.8) * row["N_prunable"])
    assert row["N_avg"] == pytest.approx(row["density_avg"] * row["N_prunable"], rel=1e-4)
    assert row["effective_flops"] == pytest.approx(6 * row["N_avg"] * row["tokens"])
    assert row["effective_flops"] == pytest.approx(
        6 * row["N_prunable"] * row["dense_steps"] * row["batch_tokens"], rel=1e-3
    )
    assert row["executed_flops"] > 6 * row["N_prunable"] * row["tokens"]
    assert (row["start"], row["end"]) == (0.25, 0.75)
    assert row["epochs"] == pytest.approx(row["tokens"] / run.spec.corpus.unique_tokens)


def test_a_dense_run_has_no_event_times():
    run = next(run for run in expand(SWEEPS / "quick.yaml").runs if not run.spec.pruning.sparsity)
    row = plan.describe(run)
    assert [row[name] for name in ("start", "end", "start_step", "end_step", "interval")] == [None] * 5
    assert row["events"] == 0
    assert row["N_avg"] == row["N_final"] == row["N_prunable"]


def test_a_shared_run_counts_in_each_of_its_studies_and_once_in_all():
    sweep = expand(SWEEPS / "laptop.yaml")
    priced = plan.plan(sweep)
    assert priced.total.runs == len(sweep.runs) < sum(price.runs for price in priced.studies.values())
    assert (
        priced.total.tokens
        == sum(price.tokens for price in priced.runs.values())
        == sum(run.spec.tokens for run in sweep.runs)
    )
    assert priced.studies["schedules"].runs == 80
    assert priced.total.epochs == max(price.epochs for price in priced.runs.values() if price.epochs is not None)
    for price in (priced.total, *priced.studies.values()):
        assert price.effective_flops < price.executed_flops


def test_expansion_prints_one_object_a_line(capsys):
    assert plan.print_expand(SWEEPS / "quick.yaml", as_json=True) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == len(expand(SWEEPS / "quick.yaml").runs)
    assert all(row.keys() >= FIELDS for row in rows)


def test_the_plan_prints_as_one_object(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no corpus is built, of whose vocabulary the plan would warn
    assert plan.print_plan(SWEEPS / "quick.yaml", as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sweep"] == "quick"
    assert found["total"]["tokens"] == sum(run["tokens"] for run in found["runs"].values())
    assert found["warnings"] == []


@pytest.mark.parametrize("show", [plan.print_expand, plan.print_plan])
def test_tables_line_up_and_end_with_a_summary(show, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert show(SWEEPS / "quick.yaml", as_json=False) == 0
    *table, last = capsys.readouterr().out.splitlines()
    column = table[0].index("tokens") + len("tokens")
    assert {line[column : column + 2] for line in table} == {"  "}
    assert last


@pytest.mark.parametrize(("tokenizer", "is_said"), [("bpe", True), ("characters", False)])
def test_the_plan_warns_of_ids_that_the_text_never_uses_once_the_corpus_is_there(tokenizer, is_said, tmp_path, capsys):
    file = tiny.declare(tmp_path)
    file.write_text(file.read_text().replace("name: pydoc,", f"name: pydoc, tokenizer: {tokenizer},"))
    assert plan.print_plan(file, as_json=False) == 0
    assert "warning" not in capsys.readouterr().out
    sweep = expand(file)
    spec = sweep.runs[0].spec
    text = build(spec.corpus, 300, 32, tmp_path / "data")
    assert plan.print_plan(file, as_json=False) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert [f"{text.manifest.unused} of 300" in line for line in said] == [True] * is_said
    quote = plan_report.Quote.of(file, "gpus=1,type=h100")
    assert [f"warning: {text}" for text in quote.warnings if "ids of the vocabulary" in text] == said
