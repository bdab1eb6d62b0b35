"""How the runs of a sweep file are shared and named."""

from collections import Counter
from dataclasses import fields
from functools import partial
from itertools import product
from typing import get_args

import pytest

from repro.errors import UserError
from repro.studies import StudyName
from sweeps import ids
from sweeps.grid import expand
from sweeps.points import Change
from sweeps.studies import Studies
from tests.sweeps.small import write


@pytest.fixture
def sweep_file(tmp_path):
    return partial(write, tmp_path)


def run_ids(file):
    return [run.spec.run_id for run in expand(file).runs]


def test_a_run_of_two_studies_appears_once_with_both(sweep_file):
    file = sweep_file(
        studies="{law: {sizes: [4k], budgets: [10tpp], sparsities: [0, 0.8]}, pairs: {size: 4k, budgets: [10tpp], sparsities: [0.8]}}"
    )
    assert [(run.spec.run_id, run.studies) for run in expand(file).runs] == [
        ("4k-10tpp-s00-seed0", ("law",)),
        ("4k-10tpp-s80-d25-p50-seed0", ("law", "pairs")),
        ("4k-p80-10tpp-s00-seed0", ("pairs",)),
    ]


def test_what_differs_from_the_default_is_appended_to_the_id(sweep_file):
    file = sweep_file(
        studies="""
        controls: {size: 4k, budget: 10tpp, sparsities: [0.8], variants: [
          {lr: 0.0004}, {lr: 0.01}, {batch: 16}, {weight_decay: 0}, {warmup: 0.05}, {init: transformers}, {shape: linear}, {shape: constant},
          {score: random}, {distribution: uniform}, {interval: 8}, {events: 5}, {do_not_prune: [lm_head], sparsities: [0.3]},
          {lr: 0.02, weight_decay: 0.01}]}"""
    )
    assert run_ids(file) == [
        "4k-10tpp-s80-d25-p50-seed0",
        "4k-10tpp-s30-d25-p50-seed0",
        "4k-10tpp-s80-d25-p50-seed0-lr4e-4",
        "4k-10tpp-s80-d25-p50-seed0-b16-i2",
        "4k-10tpp-s80-d25-p50-seed0-wd0",
        "4k-10tpp-s80-d25-p50-seed0-warmup5e-2",
        "4k-10tpp-s80-d25-p50-seed0-transformers",
        "4k-10tpp-s80-d25-p50-seed0-linear",
        "4k-10tpp-s80-seed0-static",
        "4k-10tpp-s80-d25-p50-seed0-random",
        "4k-10tpp-s80-d25-p50-seed0-uniform",
        "4k-10tpp-s80-d25-p50-seed0-i8",
        "4k-10tpp-s80-d25-p50-seed0-i21",
        "4k-10tpp-s30-d25-p50-seed0-keep_lm_head",
        "4k-10tpp-s80-d25-p50-seed0-lr2e-2-wd1e-2",
    ]


def test_runs_in_which_weights_come_back_are_named_and_one_where_they_differ_in_nothing(sweep_file):
    file = sweep_file(
        pruning="{interval: 4, score: random}",
        studies="""
        controls: {size: 4k, budget: 10tpp, sparsities: [0.8], variants: [
          {mirror: true}, {mirror: true, fill: draw, choose: gradient}, {shape: static_dense, mirror: true}, {shape: static_dense},
          {shape: constant, mirror: true}, {shape: constant, moves: {every: 5, return: gradient}},
          {shape: pieces, pieces: [[0, 0.2], [0.5, 1]]}, {mirror: true, batch: 16}, {mirror: true, events: 5}]}""",
    )
    assert run_ids(file) == [
        "4k-10tpp-s80-d25-p50-seed0",
        "4k-10tpp-s80-d25-p50-seed0-mirror",
        "4k-10tpp-s80-d25-p50-seed0-mirror-back_gradient-fill_draw",
        "4k-10tpp-s80-d00-p75-seed0-static_dense-mirror",
        "4k-10tpp-s80-d00-p75-seed0-static_dense",
        "4k-10tpp-s80-seed0-static",
        "4k-10tpp-s80-seed0-static-moves5x0.3-cosine-0.75-gradient",
        "4k-10tpp-s80-seed0-pieces-n0x0.2+0.5x1",
        "4k-10tpp-s80-d25-p50-seed0-b16-mirror-i2",
        "4k-10tpp-s80-d25-p50-seed0-mirror-i21",
    ]
    falling, mirrored, *_, halved, few = (run.spec for run in expand(file).runs)
    assert falling.schedule.mirrored() == mirrored.schedule
    assert halved.schedule.mirrored().events == pytest.approx(falling.schedule.events, abs=1)
    assert few.schedule.mirrored().events == 5


def test_a_mirrored_run_has_the_partner_of_its_falling_one_and_other_shapes_their_own(sweep_file):
    def partner(**pruning):
        said = ", ".join(f"{key}: {value}" for key, value in pruning.items())
        file = sweep_file(
            pruning=f"{{interval: 4, {said}}}",
            partners="{mlp_multiple: 1, tolerance: 0.05}",
            studies="{pairs: {size: 13k, budgets: [10tpp], sparsities: [0.5]}}",
        )
        return next(run.spec for run in expand(file).runs if not run.spec.pruning.sparsity)

    assert partner(mirror="true").fingerprint == partner(mirror="false").fingerprint
    assert partner(mirror="true").run_id == "13k-p50-10tpp-s00-seed0"
    static, spdf = partner(shape="constant"), partner(shape="static_dense")
    assert (static.run_id, spdf.run_id) == (
        "13k-p50-static-10tpp-s00-seed0",
        "13k-p50-d00-p75-static_dense-10tpp-s00-seed0",
    )
    assert static.model.shape.prunable < spdf.model.shape.prunable


def test_every_change_has_a_place_in_the_id():
    assert {field.name for field in fields(Change)} - {"events"} == {name for _, name, _ in ids._TAGS}


def test_study_names_are_the_blocks_of_a_sweep_file_and_single_runs():
    assert set(get_args(StudyName)) == {field.name for field in fields(Studies)} | {"runs"}


def test_single_runs_take_an_id_of_their_own_and_serve_the_studies_they_name(sweep_file):
    file = sweep_file(
        runs="[{size: 13k, budget: 20tpp, sparsity: 0.4, seed: 7, id: mine, studies: [law, dense]}, {size: 4k, budget: 10tpp}]"
    )
    runs = {run.spec.run_id: run for run in expand(file).runs}
    assert runs["mine"].studies == ("law", "dense")
    assert (runs["mine"].spec.seed, runs["mine"].spec.pruning.sparsity) == (7, 0.4)
    assert runs["4k-10tpp-s00-seed0"].studies == ("law", "runs")


def test_a_partner_takes_its_own_learning_rate(sweep_file):
    file = sweep_file(
        studies="{pairs: {size: 4k, budgets: [10tpp], sparsities: [0.8]}}",
        partners="{mlp_multiple: 1, lr: {4k-p80: 0.5}}",
    )
    assert {run.spec.size: run.spec.optimizer.lr for run in expand(file).runs} == {"4k": 1e-2, "4k-p80": 0.5}


def test_a_budget_may_name_its_tokens_per_parameter_by_size(sweep_file):
    """And a size may be absent that nothing trains with it; a partner has the steps of its sparse run, or its size's ratio."""
    budgets = "{short: {4k: 40, 13k: 10}, long: {13k: 20}}"
    found = {
        (run.spec.size, run.spec.budget): run.spec
        for run in expand(
            sweep_file(
                budgets=budgets,
                partners="{mlp_multiple: 1, tolerance: 0.02}",
                studies="""
                law: {sizes: [4k, 13k], budgets: [short], sparsities: [0]}
                pairs: {size: 13k, budgets: [long], sparsities: [0.8]}
                dense: {sizes: [4k, 13k], budgets: {more: {4k: 160, 13k: 20}}}
                lr: {multiples: [1], partner_budget: short, pairs: {size: 13k, budgets: [long], sparsities: [0.4]}}""",
            )
        ).runs
    }
    ratios = {of: run.tokens / run.model.shape.prunable for of, run in found.items()}
    dense = {of: ratio for of, ratio in ratios.items() if of[1] != "long"}
    wanted = {("4k", "short"): 40, ("13k", "short"): 10, ("4k", "more"): 160, ("13k", "more"): 20}
    assert dense == pytest.approx(wanted | {("13k-p40", "short"): 10}, rel=1e-2)
    sparse, partner = found["13k", "long"], found["13k-p80", "long"]
    assert sparse.dense_steps == pytest.approx(20 * sparse.model.shape.prunable / 512, abs=1)
    assert partner.schedule.total_steps == sparse.schedule.total_steps


def test_equal_numbers_by_size_are_the_same_runs_as_one_number(sweep_file):
    fingerprints = {
        tuple(run.spec.fingerprint for run in expand(sweep_file(budgets=budgets)).runs)
        for budgets in ("{10tpp: 10}", "{10tpp: {4k: 10, 13k: 3}}")
    }
    assert len(fingerprints) == 1


def test_confirmed_windows_are_trained_at_fresh_seeds(sweep_file):
    file = sweep_file(
        studies="""
        seeds:
          seeds: [0]
          confirm: {size: 4k, seeds: [5, 6], windows: {20tpp: {0.4: [{dense: 0, prune: 0.5}], 0.8: []}}}"""
    )
    assert run_ids(file) == ["4k-20tpp-s40-d00-p50-seed5", "4k-20tpp-s40-d00-p50-seed6"]


def test_the_default_window_is_confirmed_in_every_cell_where_that_is_said(sweep_file):
    file = sweep_file(
        studies="""
        seeds:
          seeds: [0]
          confirm: {size: 4k, seeds: [5], default_window: true, windows: {20tpp: {0.4: [{dense: 0, prune: 0.5}], 0.8: []}}}"""
    )
    assert run_ids(file) == [
        "4k-20tpp-s40-d00-p50-seed5",
        "4k-20tpp-s40-d25-p50-seed5",
        "4k-20tpp-s80-d25-p50-seed5",
    ]


def test_a_point_takes_its_own_seeds_or_those_of_its_study(sweep_file):
    file = sweep_file(
        studies="""
        iso_average: {seeds: [2], points: [{size: 4k, budget: 10tpp, sparsity: 0.4}]}
        seeds:
          seeds: [0, 1]
          configurations: [{size: 4k, budget: 10tpp}, {size: 4k, budget: 10tpp, sparsity: 0.8, seeds: [3, 4, 5]}]"""
    )
    assert run_ids(file) == [
        "4k-10tpp-s40-d25-p50-seed2",
        *(f"4k-10tpp-s00-seed{seed}" for seed in (0, 1)),
        *(f"4k-10tpp-s80-d25-p50-seed{seed}" for seed in (3, 4, 5)),
    ]


def test_whole_cells_of_the_schedules_are_trained_again_at_further_seeds(sweep_file):
    grid = "size: 4k, budgets: [10tpp], dense: [0, 0.5], prune: [0.5]"
    file = sweep_file(
        studies=f"""
        schedules: {{{grid}, sparsities: [0.4, 0.8]}}
        seeds: {{seeds: [0], schedules: {{{grid}, sparsities: [0.8], seeds: [1]}}}}"""
    )
    again = {run.spec.run_id for run in expand(file).runs if "seeds" in run.studies}
    assert again == {"4k-10tpp-s80-d00-p50-seed1", "4k-10tpp-s80-d50-p50-seed1"}


def test_the_regime_is_a_map_of_dense_runs_and_pairs_over_sizes_and_budgets(sweep_file):
    sweep = expand(
        sweep_file(
            partners="{mlp_multiple: 1, tolerance: 0.03}",
            studies="""
            regime:
              sparsities: [0.4, 0.8]
              seeds: [0, 1]
              cells: [{sizes: [4k, 13k], budgets: [10tpp]}, {sizes: [13k], budgets: [20tpp], seeds: [2]}]""",
        )
    )
    found = Counter((run.size, run.budget, run.pruning.sparsity, run.seed) for run in sweep.of("regime"))
    cells = [*product(("4k", "13k"), ("10tpp",), (0, 1)), ("13k", "20tpp", 2)]
    sparse = {(size, budget, sparsity, seed) for size, budget, seed in cells for sparsity in (0.4, 0.8)}
    assert found == Counter(
        {(size, budget, 0, seed) for size, budget, seed in cells}
        | sparse
        | {(f"{size}-p{100 * sparsity:.0f}", budget, 0, seed) for size, budget, sparsity, seed in sparse}
    )
    runs = {(run.size, run.budget, run.pruning.sparsity, run.seed): run for run in sweep.of("regime")}
    for size, budget, sparsity, seed in sparse:
        own = runs[size, budget, sparsity, seed]
        partner = runs[f"{size}-p{100 * sparsity:.0f}", budget, 0, seed]
        average = own.schedule.n_avg(own.model.shape.prunable)
        assert partner.model.shape.prunable == pytest.approx(average, rel=0.03)
        assert (partner.tokens, partner.schedule.total_steps) == (own.tokens, own.schedule.total_steps)


def test_a_dense_run_has_no_place_among_the_sparsities_of_the_regime(sweep_file):
    study = "{regime: {sparsities: [0], seeds: [0], cells: [{sizes: [4k], budgets: [10tpp]}]}}"
    with pytest.raises(UserError, match="has no partner") as error:
        expand(sweep_file(studies=study))
    assert error.value.key == "studies.regime.sparsities"


def test_labels_that_yaml_1_1_takes_for_something_else_are_labels(sweep_file, tmp_path):
    file = tmp_path / "labels.yaml"
    text = sweep_file().read_text().replace("4k", "on").replace("10tpp", "2024-01-01")
    file.write_text(text.replace("'", ""))
    assert run_ids(file) == ["on-2024-01-01-s00-seed0", "on-2024-01-01-s80-d25-p50-seed0"]
