"""Identity of a run: what changes its fingerprint, what doesn't, and that it survives a round trip."""

import dataclasses
import json
from dataclasses import replace

import pytest

from repro import spec as specs
from repro.errors import UserError
from repro.resources import Resources
from repro.spec import CorpusSpec, ModelSpec, OptimizerSpec, PruningSpec, RunSpec

RUN = RunSpec(
    run_id="a",
    size="s",
    budget="b",
    model=ModelSpec(8, 2, 1, 32, vocab=288, sequence=64),
    corpus=CorpusSpec("package", "botocore", unique_tokens=1e6),
    optimizer=OptimizerSpec(lr=1e-2, batch=8),
    pruning=PruningSpec(0.8, 0.25, 0.75, 4, "geometric"),
    dense_steps=100,
)


def test_labels_and_declared_counts_bear_no_identity():
    other = replace(RUN, run_id="z", size="y", budget="x", corpus=replace(RUN.corpus, unique_tokens=None))
    assert other.fingerprint == RUN.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        replace(RUN, seed=1),
        replace(RUN, precision="bf16"),
        replace(RUN, repeat=True),
        replace(RUN, dense_steps=101),
        replace(RUN, model=replace(RUN.model, init="transformers")),
        replace(RUN, optimizer=replace(RUN.optimizer, lr=1.1e-2)),
        replace(RUN, optimizer=replace(RUN.optimizer, weight_decay=0.0)),
        replace(RUN, corpus=replace(RUN.corpus, packing="documents")),
        replace(RUN, pruning=replace(RUN.pruning, shape="linear")),
        replace(RUN, pruning=replace(RUN.pruning, do_not_prune=("k_proj",))),
    ],
    ids=range(10),
)
def test_everything_that_bears_on_the_numbers_changes_the_fingerprint(other):
    assert other.fingerprint != RUN.fingerprint


def test_a_spec_survives_its_json(tmp_path):
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(RUN.to_dict()))
    assert specs.load(file) == RUN
    assert specs.load(tmp_path).fingerprint == RUN.fingerprint


def test_a_value_without_a_literal_form_is_refused_and_not_guessed():
    with pytest.raises(TypeError, match=r"RunSpec\.corpus"):
        specs.canonical(replace(RUN, corpus={"name": "botocore"}))
    with pytest.raises(ValueError, match="JSON compliant"):
        specs.canonical(replace(RUN, model=replace(RUN.model, rope_base=float("nan"))))


def test_resources_are_no_part_of_a_run():
    assert not {f.name for f in dataclasses.fields(Resources)} & {f.name for f in dataclasses.fields(RunSpec)}


def test_tokens_are_steps_times_batch_times_sequence():
    assert RUN.tokens == RUN.schedule.total_steps * 8 * 64


def test_the_learning_rate_warms_up_from_zero_and_ends_at_its_final_share():
    optimizer = OptimizerSpec(lr=1.0, batch=8, warmup=0.01, final_lr=0.1)
    assert [optimizer.lr_at(step, 1_000) for step in (0, 5, 10)] == [0, 0.5, 1]
    assert optimizer.lr_at(505, 1_000) == pytest.approx(0.55)
    assert optimizer.lr_at(1_000, 1_000) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: OptimizerSpec(lr=0, batch=8), "lr"),
        (lambda: OptimizerSpec(lr=1, batch=0), "batch"),
        (lambda: CorpusSpec("files", "mine"), "paths"),
        (lambda: replace(RUN.corpus, heldout_fraction=0.7), "heldout_fraction"),
        (lambda: ModelSpec(8, 2, 1, 32, vocab=288, sequence=1), "sequence"),
        (lambda: specs.EvalSpec(blocks=1), "blocks"),
        (lambda: Resources(workers=0), "workers"),
        (lambda: replace(RUN, pruning=replace(RUN.pruning, sparsity=1.2)), "sparsity"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(make, key):
    with pytest.raises(UserError) as error:
        make()
    assert error.value.key == key
