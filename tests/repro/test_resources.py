"""Resources that can't execute a run are refused before it starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from repro import spec as specs
from repro import strict
from repro.__main__ import main
from repro.errors import UserError
from repro.resources import Resources
from repro.spec import RunSpec

Make = Callable[..., RunSpec]


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"workers": 0}, "workers"),
        ({"micro_batch": 0}, "micro_batch"),
        ({"micro_batch": -4}, "micro_batch"),
        ({"lanes": -1}, "lanes"),
        ({"retries": -1}, "retries"),
        ({"checkpoint_every": 0}, "checkpoint_every"),
        ({"zero_stage": True}, "zero_stage"),
        ({"zero_stage": 4}, "zero_stage"),
    ],
)
def test_a_value_out_of_range_names_its_key(given: dict, key: str) -> None:
    with pytest.raises(UserError, match=key) as error:
        strict.build(Resources, given, file="x.yaml", key="resources")
    assert f"resources.{key}" in str(error.value)


@pytest.mark.parametrize(
    ("resources", "precision", "key"),
    [
        (Resources(workers=3), "fp32", "workers"),
        (Resources(workers=2, micro_batch=3), "fp32", "micro_batch"),
    ],
)
def test_resources_that_do_not_go_with_a_run_name_the_key(
    resources: Resources, precision: str, key: str, make_spec: Make
) -> None:
    with pytest.raises(UserError) as error:
        resources.share(make_spec(batch=8, precision=precision))
    assert error.value.key == key


def test_a_batch_is_shared_and_cut(make_spec: Make) -> None:
    assert Resources(workers=2, micro_batch=2).share(make_spec(batch=8)) == (4, 2)
    assert Resources().share(make_spec(batch=8)) == (8, 8)


def test_a_sparsity_without_a_shape_is_refused_and_not_trained_dense(make_spec: Make, tmp_path: Path) -> None:
    data = make_spec(0.0).to_dict()
    data["pruning"] = {"sparsity": 0.8}
    (tmp_path / "spec.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match="shape and sparsity disagree"):
        specs.load(tmp_path)


@pytest.mark.parametrize("text", ["a: \xff", "? [1, 2]\n: 3", "a: [", "- 1"])
def test_a_file_that_is_no_yaml_mapping_is_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"bad\.yaml"):
        strict.read_yaml(file)


def test_an_infinite_number_is_refused() -> None:
    with pytest.raises(UserError, match="lr"):
        strict.build(specs.OptimizerSpec, {"lr": float("inf"), "batch": 1})


def test_a_sweep_without_a_vocabulary_has_no_corpus(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("corpus: {source: package, name: pydoc}\nmodel:\n")
    assert main(["corpus", "build", str(file)]) == 2
    assert "model.vocab" in capsys.readouterr().err
