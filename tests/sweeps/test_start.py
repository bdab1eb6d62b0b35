"""Runs that start from other runs, or from model folders: planned before any of them is trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from repro.errors import UserError
from repro.spec import ModelStart, RunSpec
from sweeps.grid import PlannedRun, Sweep, expand
from sweeps.plan import amount, by_study, describe, plan
from tests.sweeps.tiny import SWEEP

PARENT = "4k-short-s80-d25-p50-seed0"
LIFE = ("parent", "parent_step", "N_avg_life", "D_life", "effective_flops_life")


def declared(root: Path, *runs: str, **blocks: str) -> Path:
    """The tiny sweep with single runs beside its studies."""
    text = SWEEP.format(root=root, ratio=8, workers=1)
    for key, value in blocks.items():
        text = text.replace(f"\n{key}:", f"\n{key}: {value} #") if f"\n{key}:" in text else f"{text}{key}: {value}\n"
    file = root / "tiny.yaml"
    file.write_text(text + "runs:\n" + "".join(f"  - {run}\n" for run in runs))
    return file


def found(sweep: Sweep) -> dict[str, RunSpec]:
    return {run.spec.run_id: run.spec for run in sweep.runs}


def rows(sweep: Sweep) -> dict[str, dict]:
    return {run.spec.run_id: json.loads(json.dumps(describe(run))) for run in sweep.runs}


def child(at: object, **keys: object) -> str:
    said = {"size": "4k", "budget": "short", **keys, "start": {"run": PARENT, "at": at}}
    return json.dumps(said)


def test_life_columns_equal_a_sum_over_every_step_of_the_whole_life(tmp_path: Path) -> None:
    sweep = expand(
        declared(
            tmp_path,
            child("end", id="first", sparsity=0.5, shape="constant"),
            child(30, id="second", batch=8),
            json.dumps({"size": "4k", "budget": "short", "id": "third", "start": {"run": "second", "at": 5}}),
        )
    )
    specs, said = found(sweep), rows(sweep)
    lives: dict[str, list[tuple[str, int | None]]] = {
        PARENT: [(PARENT, None)],
        "first": [(PARENT, None), ("first", None)],
        "second": [(PARENT, 30), ("second", None)],
        "third": [(PARENT, 30), ("second", 5), ("third", None)],
    }
    for run_id, parts in lives.items():
        tokens = weighted = 0
        flops = 0.0
        for name, until in parts:
            spec = specs[name]
            size, alive = spec.model.shape.prunable, spec.model.shape.prunable
            for step in range(spec.schedule.total_steps if until is None else until):
                event = spec.schedule.event_at(step)
                alive = alive if event is None else spec.schedule.kept(event, size)
                tokens += spec.tokens_per_step
                weighted += alive * spec.tokens_per_step
            flops = 6.0 * weighted
        row = said[run_id]
        assert row["D_life"] == tokens
        assert row["N_avg_life"] == weighted / tokens
        assert row["effective_flops_life"] == pytest.approx(flops, rel=1e-12)
    assert (said["first"]["parent"], said["first"]["parent_step"]) == (PARENT, specs[PARENT].schedule.total_steps)
    assert (said["third"]["parent"], said["third"]["parent_step"]) == ("second", 5)


def test_without_a_parent_the_life_is_the_runs_own(tmp_path: Path) -> None:
    for row in rows(expand(declared(tmp_path, child("end", id="first")))).values():
        if row["run_id"] != "first":
            assert [row[key] for key in LIFE] == [None, None, row["N_avg"], row["tokens"], row["effective_flops"]]


def test_a_child_reads_on_where_its_parent_stopped(tmp_path: Path) -> None:
    specs = found(expand(declared(tmp_path, child("end", id="first"), child(30, id="second", batch=8))))
    assert specs[PARENT].position == 0
    assert specs["first"].position == specs[PARENT].schedule.total_steps * 4
    assert specs["second"].position == 30 * 4
    assert specs["first"].seed == specs[PARENT].seed


def test_identity_comes_from_the_parents_fingerprint_and_step(tmp_path: Path) -> None:
    one = found(expand(declared(tmp_path, child("end", id="first"), child(30, id="second"))))
    total = one[PARENT].schedule.total_steps
    same = found(expand(declared(tmp_path, child(total, id="other"), child(31, id="second"))))
    assert same["other"].fingerprint == one["first"].fingerprint
    assert same["second"].fingerprint != one["second"].fingerprint
    assert one["first"].fingerprint != one["second"].fingerprint
    changed = found(expand(declared(tmp_path, child("end", id="first"), optimizer="{batch: 4, weight_decay: 0}")))
    assert changed["first"].start.fingerprint != one["first"].start.fingerprint  # type: ignore[union-attr]
    unnamed = found(expand(declared(tmp_path, child("end"), child(30))))
    assert len(unnamed) == len(one), "ids that tell them apart"


def test_the_text_of_a_whole_life_counts(tmp_path: Path) -> None:
    own = found(expand(declared(tmp_path, child("end", id="first"))))["first"].tokens
    life = rows(expand(declared(tmp_path, child("end", id="first"))))["first"]["D_life"]
    corpus = "{{source: package, name: pydoc, heldout_fraction: 0.1, unique_tokens: {}}}"
    expand(declared(tmp_path, child("end", id="first"), corpus=corpus.format(life)))
    with pytest.raises(UserError, match="first needs"):
        expand(declared(tmp_path, child("end", id="first"), corpus=corpus.format(life - 1)))
    assert own < life


def test_the_plan_says_who_starts_from_whom_and_that_a_models_past_is_unknown(tmp_path: Path) -> None:
    sweep = expand(declared(tmp_path, child("end", id="first")))
    dense = found(sweep)["4k-short-s00-seed0"]
    started = PlannedRun(replace(dense, run_id="second", start=ModelStart("0" * 64, "out/model")), ("runs",))
    lines = by_study(plan(replace(sweep, runs=(*sweep.runs, started))))
    total, life = found(sweep)[PARENT].schedule.total_steps, found(sweep)["first"].life
    [line] = [line for line in lines if line.startswith("first ")]
    assert line.split() == ["first", PARENT, f"{total:,}", *amount(life.tokens).split(), f"{life.effective_flops:.3g}"]
    [line] = [line for line in lines if line.startswith("second ")]
    assert "out/model" in line
    assert "unknown" in line
    assert "first row" in line


@pytest.mark.parametrize(
    ("runs", "key", "said"),
    [
        ([{"start": {"run": "nobody", "at": "end"}}], "runs[0].start.run", "nobody"),
        ([{"start": {"run": PARENT, "at": 10_000}}], "runs[0].start.at", "10000"),
        ([{"start": {"run": PARENT, "at": 0}}], "runs[0].start.at", "0"),
        ([{"start": {"run": PARENT, "at": "start"}}], "runs[0].start.at", "start"),
        ([{"start": {"run": PARENT}, "seed": 1}], "runs[0].seed", "1"),
        ([{"start": {"run": PARENT, "model": "x"}}], "runs[0].start", ""),
        ([{"start": {}}], "runs[0].start", ""),
        ([{"start": {"run": PARENT}, "studies": ["law"]}], "runs[0].studies", "law"),
        ([{"start": {"model": "nowhere"}}], "runs[0].start.model", "nowhere"),
        (
            [{"id": "a", "start": {"run": "b", "at": "end"}}, {"id": "b", "start": {"run": "a", "at": "end"}}],
            "runs[0].start.run",
            "b",
        ),
        ([{"id": "a", "start": {"run": "a", "at": "end"}}], "runs[0].start.run", "a"),
        ([{"init": "transformers", "start": {"run": PARENT, "at": "end"}}], "runs[0].start.run", PARENT),
    ],
)
def test_a_start_that_cannot_be_is_refused_by_file_and_key(
    runs: list[dict], key: str, said: str, tmp_path: Path
) -> None:
    file = declared(tmp_path, *(json.dumps({"size": "4k", "budget": "short", **run}) for run in runs))
    with pytest.raises(UserError) as error:
        expand(file)
    assert str(error.value.file) == str(file)
    assert (error.value.key or "").startswith(key)
    assert said in str(error.value.found)
