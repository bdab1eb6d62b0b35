"""Identity of a run: what changes its fingerprint, what doesn't, and that it survives a round trip."""

import dataclasses
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from repro import spec as specs
from repro.errors import UserError
from repro.resources import Resources
from repro.schedule import PruningSchedule
from repro.spec import CorpusSpec, LearningRates, ModelSpec, OptimizerSpec, PruningSpec, RunSpec
from sweeps.grid import expand

SWEEPS = Path(__file__).parents[2] / "sweeps"
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


@dataclasses.dataclass(frozen=True)
class Loose:
    """Not a spec: nothing checks what it is given."""

    part: object


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


@pytest.mark.slow
def test_fingerprints_of_specs_from_before_a_field_was_added_stay():
    """Results folders hold them: a changed one would refuse what has been trained."""
    expected = {
        "quick": ("20 runs", "b3b0a67b56adf4ad"),  # since its tokenizer is of characters
        "paper": ("158 runs", "c185aeddf2bdc4ef"),  # since its partners' heads are multiples of 8
    }
    assert RUN.fingerprint == "01cd9e5c3192d60f"
    for name, (count, digest) in expected.items():
        found = [run.spec.fingerprint for run in expand(SWEEPS / f"{name}.yaml").runs]
        assert (f"{len(found)} runs", hashlib.sha256(" ".join(found).encode()).hexdigest()[:16]) == (count, digest)


@pytest.mark.parametrize(("every", "points"), [(None, None), (7, None), (None, 10), (50, 10)])
def test_evaluations_are_at_every_so_many_steps_and_at_log_spaced_ones(every, points):
    evaluation, total = specs.EvalSpec(every=every, log_points=points), 400
    due = [step + 1 for step in range(total) if evaluation.due(step, total)]
    assert len(due) == evaluation.times(total)
    assert [step for step in due if every and step % every == 0] == [*range(every or total + 1, total + 1, every or 1)]
    spaced = sorted(evaluation.log_spaced(total))
    assert spaced == ([4, 7, 11, 19, 31, 52, 86, 144, 240, 400] if points else [])
    assert set(due) >= set(spaced)


def test_a_field_added_later_bears_identity_where_it_is_not_at_its_default():
    optimizer = replace(RUN.optimizer, lr_schedule="wsd")
    others = [
        RUN.optimizer,
        replace(RUN.optimizer, lr_schedule="cosine_compute"),
        optimizer,
        replace(optimizer, decay=9),
    ]
    assert len({replace(RUN, optimizer=other).fingerprint for other in others}) == 4
    assert "lr_schedule" not in specs.canonical(RUN)


def test_a_spec_survives_its_json(tmp_path):
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(RUN.to_dict()))
    assert specs.load(file) == RUN
    assert specs.load(tmp_path).fingerprint == RUN.fingerprint


def test_a_value_without_a_literal_form_is_refused_and_not_guessed():
    with pytest.raises(TypeError, match=r"Loose\.part"):
        specs.canonical(Loose({"name": "botocore"}))
    with pytest.raises(ValueError, match="JSON compliant"):
        specs.canonical(Loose(float("nan")))


def test_resources_are_no_part_of_a_run():
    assert not {f.name for f in dataclasses.fields(Resources)} & {f.name for f in dataclasses.fields(RunSpec)}


def test_tokens_are_steps_times_batch_times_sequence():
    assert RUN.tokens == RUN.schedule.total_steps * 8 * 64


def test_the_learning_rate_warms_up_from_zero_and_ends_at_its_final_share():
    optimizer = OptimizerSpec(lr=1.0, batch=8, warmup=0.01, final_lr=0.1)
    assert [optimizer.lr_at(step, PruningSchedule.dense(1_000)) for step in (0, 5, 10)] == [0, 0.5, 1]
    assert optimizer.lr_at(505, PruningSchedule.dense(1_000)) == pytest.approx(0.55)
    assert optimizer.lr_at(1_000, PruningSchedule.dense(1_000)) == pytest.approx(0.1)


def rates(spec: RunSpec) -> list[float]:
    return [spec.optimizer.lr_at(step, spec.schedule) for step in range(spec.schedule.total_steps)]


def test_a_cosine_over_compute_is_the_same_to_the_bit_until_runs_prune_and_over_steps_it_is_not():
    cases: tuple[tuple[LearningRates, bool], ...] = (("cosine_compute", True), ("cosine", False))
    for schedule, shared in cases:
        optimizer = replace(RUN.optimizer, lr_schedule=schedule, warmup=0.1)
        dense, sparse, other = (
            rates(replace(RUN, optimizer=optimizer, pruning=pruning))
            for pruning in (PruningSpec(), RUN.pruning, replace(RUN.pruning, sparsity=0.37))
        )
        assert (dense[:24] == sparse[:24] == other[:24]) is shared, schedule
        assert len(sparse) > len(dense) == 100
        assert sparse[30:90] != dense[30:90]


def test_a_cosine_over_compute_ends_at_its_final_share_however_many_steps_that_takes():
    run = replace(RUN, dense_steps=1_000, optimizer=replace(RUN.optimizer, lr_schedule="cosine_compute"))
    found = rates(run)
    assert found[:11] == [RUN.optimizer.lr * step / 10 for step in range(11)]
    assert found[-1] == pytest.approx(0.1 * RUN.optimizer.lr, rel=1e-4)
    half = next(s for s in range(len(found)) if run.schedule.compute_at(s) >= 505)
    assert found[half] == pytest.approx(0.55 * RUN.optimizer.lr, rel=1e-2)
    assert found[10:] == sorted(found[10:], reverse=True)


@pytest.mark.parametrize(("decay", "first"), [(0.25, 75), (40, 60)], ids=["a share", "a count"])
def test_warm_up_stable_decay_warms_up_in_steps_and_falls_in_a_line_over_the_last(decay, first):
    optimizer = OptimizerSpec(lr=1.0, batch=8, lr_schedule="wsd", warmup=5, decay=decay)
    found = rates(replace(RUN, pruning=PruningSpec(), optimizer=optimizer))
    assert found[:6] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert set(found[5 : first + 1]) == {1.0}
    assert found[first + 1] == pytest.approx(1 - 0.9 / (100 - first))
    assert found[-1] == pytest.approx(0.1 + 0.9 / (100 - first))


def test_a_warm_up_and_a_decay_longer_than_the_run_are_refused_by_the_run():
    for optimizer in (
        OptimizerSpec(1.0, 8, warmup=100),
        OptimizerSpec(1.0, 8, lr_schedule="wsd", warmup=0.5, decay=0.6),
        OptimizerSpec(1.0, 8, lr_schedule="wsd", decay=101),
    ):
        with pytest.raises(UserError, match="don't fit") as error:
            replace(RUN, pruning=PruningSpec(), optimizer=optimizer)
        assert error.value.key == "warmup"


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: OptimizerSpec(lr=0, batch=8), "lr"),
        (lambda: OptimizerSpec(lr=1, batch=0), "batch"),
        (lambda: OptimizerSpec(lr=1, batch=1, warmup=-1.0), "warmup"),
        (lambda: OptimizerSpec(lr=1, batch=1, warmup=1.5), "warmup"),
        (lambda: OptimizerSpec(lr=1, batch=1, lr_schedule="wsd", decay=0), "decay"),
        (lambda: OptimizerSpec(lr=1, batch=1, decay=0.3), "decay"),
        (lambda: CorpusSpec("files", "mine"), "paths"),
        (lambda: replace(RUN.corpus, heldout_fraction=0.7), "heldout_fraction"),
        (lambda: ModelSpec(8, 2, 1, 32, vocab=288, sequence=1), "sequence"),
        (lambda: specs.EvalSpec(blocks=1), "blocks"),
        (lambda: Resources(workers=0), "workers"),
        (lambda: replace(RUN, pruning=replace(RUN.pruning, sparsity=1.2)), "sparsity"),
        (lambda: replace(RUN, pruning=replace(RUN.pruning, sparsity=1.0)), "sparsity"),
        (lambda: replace(RUN, pruning=replace(RUN.pruning, sparsity=float("nan"))), "sparsity"),
        (lambda: replace(RUN, pruning=replace(RUN.pruning, start=float("nan"))), "start"),
        (lambda: replace(RUN, pruning=replace(RUN.pruning, end=float("inf"))), "end"),
        (lambda: replace(RUN, pruning=replace(RUN.pruning, interval=0)), "interval"),
        (lambda: replace(RUN, dense_steps=10**10), "dense_steps"),
        (lambda: replace(RUN, dense_steps=0), "dense_steps"),
        (lambda: replace(RUN, seed=-1), "seed"),
        (lambda: replace(RUN, seed=2**63), "seed"),
        (lambda: replace(RUN, run_id="../../escape"), "run_id"),
        (lambda: replace(RUN, run_id="a/b"), "run_id"),
        (lambda: OptimizerSpec(lr=float("inf"), batch=8), "lr"),
        (lambda: OptimizerSpec(lr=float("nan"), batch=8), "lr"),
        (lambda: OptimizerSpec(lr=-1e-3, batch=8), "lr"),
        (lambda: OptimizerSpec(lr=1, batch=2**40), "batch"),
        (lambda: OptimizerSpec(lr=1, batch=1, weight_decay=float("inf")), "weight_decay"),
        (lambda: OptimizerSpec(lr=1, batch=1, clip=0), "clip"),
        (lambda: OptimizerSpec(lr=1, batch=1, eps=float("nan")), "eps"),
        (lambda: OptimizerSpec(lr=1, batch=1, warmup=1e300), "warmup"),
        (lambda: ModelSpec(9, 2, 4, 32, vocab=288, sequence=64), "d_model"),
        (lambda: ModelSpec(8, 0, 1, 32, vocab=288, sequence=64), "layers"),
        (lambda: ModelSpec(8, 2, 0, 32, vocab=288, sequence=64), "heads"),
        (lambda: ModelSpec(8, 2, 1, 32, vocab=10**12, sequence=64), "vocab"),
        (lambda: ModelSpec(8, 2, 1, 32, vocab=288, sequence=10**12), "sequence"),
        (lambda: ModelSpec(8, 2, 1, 32, vocab=288, sequence=64, rope_base=float("nan")), "rope_base"),
        (lambda: ModelSpec(8, 2, 1, 32, vocab=288, sequence=64, norm_eps=-1.0), "norm_eps"),
        (lambda: specs.EvalSpec(blocks=10**12), "blocks"),
        (lambda: specs.EvalSpec(block_sequences=0), "block_sequences"),
        (lambda: specs.EvalSpec(every=0), "every"),
        (lambda: Resources(lanes=10**9), "lanes"),
        (lambda: Resources(retries=10**9), "retries"),
        (lambda: Resources(spike=float("nan")), "spike"),
        (lambda: Resources(workers_by_size={"4k": 0}), "workers_by_size.4k"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(make, key):
    with pytest.raises(UserError) as error:
        make()
    assert error.value.key == key


@pytest.mark.parametrize("kept", ["[1]", '{"run_id": 1}', '{"model": []}', "nothing", "", '{"a": ' + "[" * 5000])
def test_a_broken_spec_of_a_run_is_refused_with_its_file(tmp_path, kept):
    (tmp_path / "spec.json").write_text(kept)
    for place in (tmp_path, tmp_path / "spec.json"):
        with pytest.raises(UserError, match=r"spec\.json"):
            specs.load(place)


def test_a_spec_in_a_home_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "spec.json").write_text(json.dumps(RUN.to_dict()))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert specs.load("~") == specs.load("~/spec.json") == specs.load("$HOME/spec.json") == RUN


def test_models_of_the_first_kind_have_the_identity_and_counts_that_they_had():
    """Literals taken before the family grew: kv_heads, head_dim, tied, biases and rope_scaling change nothing there."""
    known = {
        ModelSpec(8, 2, 1, 32, 288, 64): ("f8706ad484197d07", 4_352, 6_696),
        ModelSpec(1024, 24, 16, 4096, 32_000, 2048): ("371c6b298a4dbeee", 435_421_184, 468_239_360),
        ModelSpec(32, 2, 2, 48, 300, 32, "transformers", 1e-6, 5e5): ("4ebc47ec7bb54502", 27_008, 36_768),
    }
    for model, said in known.items():
        digest = hashlib.sha256(specs.canonical(model).encode()).hexdigest()[:16]
        assert (digest, model.shape.prunable, model.shape.total) == said
    assert RUN.recipe == "ebf4d7fa0c144dd1"


def test_what_follows_from_other_dimensions_anyway_is_no_other_model():
    model = ModelSpec(32, 2, 2, 48, 300, 32)
    assert replace(model, kv_heads=2, head_dim=16) == model
    assert replace(model, kv_heads=1) != model


def test_public_models_have_their_published_counts():
    """SmolLM2-135M, Qwen2.5-0.5B and Llama-3.2-1B, as their cards and files give them."""
    scaling = specs.RopeScaling(32.0, 1.0, 4.0, 8192)
    smol = ModelSpec(576, 30, 9, 1536, 49_152, 2048, rope_base=1e5, kv_heads=3, tied=True)
    qwen = ModelSpec(896, 24, 14, 4864, 151_936, 32_768, rope_base=1e6, kv_heads=2, tied=True, biases="qkv")
    llama = ModelSpec(2048, 16, 32, 8192, 128_256, 131_072, rope_base=5e5, rope_scaling=scaling, kv_heads=8, tied=True)
    assert [one.shape.total for one in (smol, qwen, llama)] == [134_515_008, 494_032_768, 1_235_814_400]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"kv_heads": 3}, "kv_heads"),
        ({"kv_heads": 0}, "kv_heads"),
        ({"head_dim": 5}, "head_dim"),
        ({"heads": 3, "head_dim": 16}, "d_model"),
        ({"biases": "some"}, "biases"),
        ({"rope_scaling": {"factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 1.0, "original_context": 64}},
         "rope_scaling.high_freq_factor"),
    ],
)  # fmt: skip
def test_an_impossible_member_of_the_family_is_refused_by_name(change, key):
    with pytest.raises(UserError) as error:
        replace(ModelSpec(32, 2, 2, 48, 300, 32), **change)
    assert error.value.key == key
    assert None not in (error.value.found, error.value.expected)
