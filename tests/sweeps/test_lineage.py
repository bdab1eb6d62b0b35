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

pytestmark = pytest.mark.slow

AT = 200
TIMES = {"seconds", "seconds_setup", "tokens_per_second", "mfu", "peak_memory", "ms"}


def declare(root: Path, model: Path | None = None) -> Path:
    """A parent and its children; without a model folder two of them."""
    text = SWEEP.format(root=root, ratio=20, workers=1)
    first, last = text.index("studies:\n"), text.index("resources:")
    runs = [
        "{size: 4k, budget: short, id: parent}",
        "{size: 4k, budget: short, sparsity: 0.8, id: from-end, start: {run: parent, at: end}}",
        f"{{size: 4k, budget: short, batch: 8, id: from-step, start: {{run: parent, at: {AT}}}}}",
    ]
    if model is not None:
        runs.append(f"{{size: 4k, budget: short, sparsity: 0.5, id: from-model, start: {{model: {model}}}}}")
    root.mkdir(parents=True, exist_ok=True)
    file = root / "tiny.yaml"
    file.write_text(text[:first] + "runs:\n" + "".join(f"  - {one}\n" for one in runs) + text[last:])
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
    code, out = run(declare(root / "finished", model))
    assert code == 0, out
    return root / "finished"


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


@pytest.mark.full
def test_killed_twice_a_family_ends_as_one_that_was_never_disturbed(finished: Path, model: Path, root: Path) -> None:
    place = root / "killed"
    shutil.copytree(finished / "data", place / "data")
    killer = Killer(place, declare(place, model), seed=2)
    while len(killer.kills) < 2:
        killer.strike()
        assert len(ended(place)) < 4, f"it was over after {len(killer.kills)} kills"
    if killer.driver.poll() is None:
        killer.driver.kill()
        killer.driver.wait()
    until(lambda: not orphans(killer.mark), 180)
    code, out = run(killer.file)
    assert code == 0, out
    assert tables(place) == tables(finished)


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
        text.replace("resources:", "  - {size: 4k, budget: short, id: late, start: {run: parent, at: 150}}\nresources:")
    )
    code, out = run(file)
    assert code == 1
    assert "2 trained now, 1 failed" in out
    assert "parent has left no weights of step 150" in out
    assert "delete its folder to train it again" in out
    file.write_text(text)
    code, out = run(file)
    assert code == 0, out
    assert tables(place)["runs"] == tables(finished)["runs"]
