"""A parent and three children through the real driver: from its end, from a step of it and from a model folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from repro.corpus import build
from repro.models.export import export
from repro.resources import Resources
from repro.store.folder import Folder
from repro.training.checkpoint_manifest import name_of
from repro.training.train import train
from sweeps.grid import expand
from tests.sweeps.driving import orphans, until
from tests.sweeps.killing import Killer, ended
from tests.sweeps.tiny import SWEEP, run

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATIO, AT = 2, 20  # tokens a parameter; the step of the parent from which a child starts
LONG, LATE = 20, 200  # of runs that are long enough to be killed
RUNS = 12
TIMES = {"seconds", "seconds_setup", "tokens_per_second", "mfu", "peak_memory", "ms"}


# A parent of four blocks, pruned and trained on: two structured runs, zeros that hold, and each control.
DEEP = "sizes: {deep: {layers: 4, d_model: 8, heads: 2, mlp: 32, lr: 1.0e-2}, "
STUDIES = """studies:
  parents: {points: [{size: deep, budget: short}]}
  post_training:
    budget: short
    tokens: 2560
    rates: [0.12]
    methods: [{method: depth-taylor}, {method: sparsegpt, structure: "2:4"}]
    lr_multiples: 0.3
    warmup: 2
    evaluations: 4
    calibration: {sequences: 8}
    controls: {random: [random-width], scratch: [depth-taylor], decayed: [depth-taylor]}
"""


def declare(root: Path, model: Path | None = None, ratio: float = RATIO, at: int = AT) -> Path:
    """A parent and its children; without a model folder two of them."""
    text = SWEEP.format(root=root, ratio=ratio, workers=1)
    if model is not None:
        text = text.replace("sizes: {", DEEP).replace(f"{{short: {ratio}}}", f"{{short: {{4k: {ratio}, deep: 2}}}}")
    first, last = text.index("studies:\n"), text.index("resources:")
    runs = [
        "{size: 4k, budget: short, id: parent}",
        "{size: 4k, budget: short, sparsity: 0.8, id: from-end, start: {run: parent, at: end}}",
        f"{{size: 4k, budget: short, batch: 8, id: from-step, start: {{run: parent, at: {at}}}}}",
    ]
    if model is not None:
        runs.append(f"{{size: 4k, budget: short, sparsity: 0.5, id: from-model, start: {{model: {model}}}}}")
        stack = "{run: deep-short-s00-seed0, surgery: {method: grow-depth-stack, factor: 2}}"
        runs.append(f"{{size: deep, budget: short, id: stacked, start: {stack}}}")
    root.mkdir(parents=True, exist_ok=True)
    file = root / "tiny.yaml"
    studies = STUDIES if model is not None else ""
    file.write_text(text[:first] + studies + "runs:\n" + "".join(f"  - {one}\n" for one in runs) + text[last:])
    return file


def tables(root: Path) -> dict[str, list[dict]]:
    """All that the sweep's tables say, but for times."""
    place = root / "results" / "tiny"
    return {
        name: [
            {key: value for key, value in row.items() if key not in TIMES}
            for row in sorted(pq.read_table(place / f"{name}.parquet").to_pylist(), key=repr)
        ]
        for name in ("runs", "curves", "layers")
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lineage")


@pytest.fixture(scope="module")
def model(root: Path) -> Path:
    """The parent as a model folder, trained and exported beside the sweeps."""
    spec = next(run.spec for run in expand(declare(root / "exported")).runs if run.spec.run_id == "parent")
    text = build(spec.corpus, spec.model.vocab, spec.model.sequence, root / "exported" / "data")
    folder = Folder.open(root / "exported" / "run")
    train(spec, folder, text, Resources(device="cpu"))
    export(folder, root / "exported" / "model", text)
    return root / "exported" / "model"


@pytest.fixture(scope="module")
def finished(root: Path, model: Path) -> Path:
    """The sweep, never disturbed."""
    shutil.copytree(root / "exported" / "data", root / "finished" / "data")
    code, out = run(declare(root / "finished", model), "--lanes", "1")
    assert code == 0, out
    return root / "finished"


@pytest.fixture(scope="module")
def undisturbed(root: Path, model: Path) -> Path:
    """The same of long runs."""
    shutil.copytree(root / "exported" / "data", root / "undisturbed" / "data")
    code, out = run(declare(root / "undisturbed", model, LONG, LATE))
    assert code == 0, out
    return root / "undisturbed"


def test_life_columns_and_losses_say_where_each_child_comes_from(finished: Path) -> None:
    specs = {run.spec.run_id: run.spec for run in expand(finished / "tiny.yaml").runs}
    rows = {row["run_id"]: row for row in pq.read_table(finished / "results" / "tiny" / "runs.parquet").to_pylist()}
    parent, total = rows["parent"], specs["parent"].schedule.total_steps
    size, tokens = parent["N_prunable"], specs["parent"].tokens_per_step
    assert (parent["parent"], parent["L_parent"], parent["D_life"]) == (None, None, parent["D"])
    for name, at in (("from-end", total), ("from-step", AT)):
        row = rows[name]
        before = at * tokens
        assert (row["parent"], row["parent_step"], row["position"]) == ("parent", at, at * 4)
        assert row["D_life"] == before + row["D"]
        assert row["N_avg_life"] == pytest.approx(
            (size * before + row["N_avg"] * row["D"]) / (before + row["D"]), rel=1e-14
        )
        assert row["effective_flops_life"] == 6.0 * size * before + row["effective_flops"]
    assert rows["from-end"]["L_parent"] == parent["loss"]
    assert rows["from-model"]["L_parent"] == pytest.approx(parent["loss"], rel=1e-7)  # queries are scaled and back
    assert rows["from-step"]["L_parent"] > parent["loss"]
    assert rows["from-model"]["parent"] is None
    assert rows["from-model"]["start_sha256"] is not None
    assert rows["from-model"]["D_life"] == rows["from-model"]["D"]
    kept = [place.name for place in (finished / "results").rglob("forks/*") if place.is_dir()]
    assert kept == [name_of(AT)], "from which a child could be trained again"


def test_a_study_of_pruning_after_training_is_trained_and_its_table_says_what_was_done(finished: Path) -> None:
    place = finished / "results" / "tiny"
    rows = {row["run_id"]: row for row in pq.read_table(place / "runs.parquet").to_pylist()}
    curves = pq.read_table(place / "curves.parquet").to_pylist()
    parent = rows.pop("deep-short-s00-seed0")
    study = {name: row for name, row in rows.items() if row["studies"] == ["post_training"]}
    assert sorted(study) == [
        "deep-depth-taylor-r12-scratch-short-seed0",
        "deep-depth-taylor-r12-short-seed0",
        "deep-depth-taylor-r12-short-seed0-decayed",
        "deep-random-width-r12-short-seed0",
        "deep-sparsegpt-2of4-r12-short-seed0",
        "deep-unpruned-short-seed0",
    ]
    for name, row in study.items():
        evaluated = [one for one in curves if one["run_id"] == name and one["loss_eval"] is not None]
        if "scratch" in name:
            assert (row["surgery"], row["parent"], row["L_before"]) == (None, None, None)
            continue
        assert row["N_total_before"] == parent["N_total"]
        assert row["L_before"] == pytest.approx(parent["loss"], rel=1e-6)
        assert [(one["tokens"], one["loss_eval"]) for one in evaluated[:1]] == [(0, row["L_parent"])]
        assert (evaluated[-1]["tokens"], evaluated[-1]["loss_eval"]) == (row["D"], row["loss"])
        assert row["position"] == parent["D"] // 32
        removed = row["N_total_before"] - row["N_total"] + row["N_prunable"] - row["N_final"]
        assert row["rho"] == pytest.approx(removed / row["N_total_before"], abs=1e-12)
        assert abs(row["rho"] - row["surgery_rate"]) < 0.01
        assert (row["L_parent"] == parent["loss"]) == (row["surgery_rate"] == 0)
        assert (place / "runs" / name / "surgery.json").is_file()


def test_a_grown_model_trains_on_and_its_average_rises(finished: Path) -> None:
    place = finished / "results" / "tiny"
    rows = {row["run_id"]: row for row in pq.read_table(place / "runs.parquet").to_pylist()}
    parent, grown = rows["deep-short-s00-seed0"], rows["stacked"]
    assert (grown["surgery"], grown["surgery_factor"], grown["rho"]) == ("grow-depth-stack", 2, None)
    assert (grown["layers"], grown["N_total_before"]) == (2 * parent["layers"], parent["N_total"])
    assert parent["N_prunable"] < grown["N_avg_life"] < grown["N_prunable"]
    assert grown["L_before"] == pytest.approx(parent["loss"], rel=1e-6)
    assert grown["L_parent"] != grown["L_before"]
    assert grown["loss"] < grown["L_parent"], "it learns"
    assert grown["position"] == parent["D"] // 32


@pytest.mark.full
def test_killed_twice_a_family_ends_as_one_that_was_never_disturbed(undisturbed: Path, model: Path, root: Path) -> None:
    place = root / "killed"
    shutil.copytree(undisturbed / "data", place / "data")
    killer = Killer(place, declare(place, model, LONG, LATE), seed=2)
    while len(killer.kills) < 2:
        killer.strike()
        assert len(ended(place)) < RUNS, f"it was over after {len(killer.kills)} kills"
    if killer.driver.poll() is None:
        killer.driver.kill()
        killer.driver.wait()
    until(lambda: not orphans(killer.mark), 180)
    code, out = run(killer.file)
    assert code == 0, out
    assert tables(place) == tables(undisturbed)


@pytest.mark.full
def test_children_that_are_deleted_are_trained_again_and_one_that_came_late_is_told_what_to_do(
    finished: Path, model: Path, root: Path
) -> None:
    place = root / "again"
    shutil.copytree(finished, place)
    runs = place / "results" / "tiny" / "runs"
    for name in ("from-end", "from-step"):
        shutil.rmtree(runs / name)
    file = declare(place, model)
    text = file.read_text()
    file.write_text(
        text.replace("resources:", "  - {size: 4k, budget: short, id: late, start: {run: parent, at: 15}}\nresources:")
    )
    code, out = run(file)
    assert code == 1
    assert "2 trained now, 1 failed" in out
    assert "parent has left no weights of step 15" in out
    assert "delete its folder to train it again" in out
    file.write_text(text)
    code, out = run(file)
    assert code == 0, out
    assert tables(place)["runs"] == tables(finished)["runs"]
