"""What the committed sweep files expand to, how runs are shared and named, and what is refused."""

import subprocess
import sys
from collections import Counter
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import yaml

from repro.errors import UserError
from sweeps import ids
from sweeps.change import Change
from sweeps.grid import expand
from sweeps.studies import Studies, StudyName

SWEEPS = Path(__file__).parents[2] / "sweeps"
PAPER, LAPTOP, GPU, QUICK, LAPTOP_LR = (
    SWEEPS / f"{name}.yaml" for name in ("paper", "laptop", "gpu", "quick", "laptop-lr")
)
STUDIES = ("schedules", "law", "pairs", "robustness", "iso_average", "dense", "seeds", "controls")

TINY = """
name: tiny
corpus: {source: package, name: botocore, unique_tokens: 1000000}
model: {vocab: 288, sequence: 64, layers: 2, heads: 1}
optimizer: {batch: 8}
sizes: {4k: {d_model: 8, mlp: 32, lr: 0.01}, 13k: {d_model: 16, mlp: 64, lr: 0.01}}
budgets: {10tpp: 10, 20tpp: 20}
pruning: {interval: 4}
partners: {mlp_multiple: 1}
studies:
  law: {sizes: [4k], budgets: [10tpp], sparsities: [0, 0.8]}
"""


@pytest.fixture
def sweep_file(tmp_path):
    """Writes TINY with top-level blocks replaced, or removed by None; a block is YAML text."""

    def write(**blocks: str | None) -> Path:
        data = yaml.safe_load(TINY) | {
            name: block if block is None else yaml.safe_load(block) for name, block in blocks.items()
        }
        file = tmp_path / "tiny.yaml"
        file.write_text(yaml.safe_dump({name: block for name, block in data.items() if block is not None}))
        return file

    return write


def run_ids(file):
    return [run.spec.run_id for run in expand(file).runs]


# ------------------------------------------------------------------ the committed files

committed = cache(expand)


@pytest.mark.parametrize("file", [PAPER, LAPTOP, GPU, QUICK])
def test_every_study_has_runs_with_unique_ids_and_fingerprints(file):
    sweep = committed(file)
    assert set(sweep.studies) == set(STUDIES)
    assert (
        len({run.spec.run_id for run in sweep.runs})
        == len({run.spec.fingerprint for run in sweep.runs})
        == len(sweep.runs)
    )


@pytest.mark.parametrize("file", [PAPER, LAPTOP, GPU])
def test_the_schedules_are_ten_windows_at_four_sparsities_and_two_budgets(file):
    runs = committed(file).of("schedules")
    assert len(runs) == 80
    windows = {(round(100 * run.pruning.start), round(100 * (run.pruning.end - run.pruning.start))) for run in runs}
    assert windows == {(0, 25), (0, 50), (0, 75), (0, 100), (25, 25), (25, 50), (25, 75), (50, 25), (50, 50), (75, 25)}
    assert set(Counter((run.pruning.sparsity, run.budget) for run in runs).values()) == {10}
    assert len({run.size for run in runs}) == 1


@pytest.mark.parametrize("file", [PAPER, LAPTOP, GPU])
def test_the_law_is_thirty_runs_of_which_eight_are_schedules(file):
    sweep = committed(file)
    law = sweep.of("law")
    assert len(law) == 30
    assert {run.pruning.sparsity for run in law} == {0, 0.2, 0.4, 0.6, 0.8}
    assert {(run.pruning.start, run.pruning.end) for run in law if run.pruning.sparsity} == {(0.25, 0.75)}
    assert len(set(law) & set(sweep.of("schedules"))) == 8


@pytest.mark.parametrize(("file", "pairs"), [(PAPER, 4), (LAPTOP, 16), (GPU, 8), (QUICK, 1)])
def test_every_partner_matches_its_sparse_runs_realised_average_and_shares_the_rest(file, pairs):
    runs = committed(file).of("pairs")
    sparse = {(run.budget, run.pruning.sparsity): run for run in runs if run.pruning.sparsity}
    partners = [run for run in runs if not run.pruning.sparsity]
    assert len(partners) == pairs
    for partner in partners:
        kind, sparsity = partner.size.split("-")[1][0], int(partner.size.split("-")[1][1:]) / 100
        other = sparse[partner.budget, sparsity]
        shape = other.model.shape
        average = other.schedule.n_avg(shape.prunable)
        if kind == "p":
            assert partner.model.shape.prunable == pytest.approx(average, rel=1e-3)
        else:
            assert partner.model.shape.total == pytest.approx(average + shape.total - shape.prunable, rel=1e-3)
        assert (partner.schedule.total_steps, partner.tokens, partner.seed) == (
            other.schedule.total_steps,
            other.tokens,
            other.seed,
        )
        assert (partner.optimizer.batch, partner.corpus) == (other.optimizer.batch, other.corpus)
        assert (partner.model.layers, partner.model.heads, partner.model.vocab) == (
            shape.layers,
            shape.heads,
            shape.vocab,
        )


def test_sizes_of_the_paper_have_its_counts():
    shapes = {run.size: run.model.shape for run in committed(PAPER).of("law")}
    assert {size: (round(shape.prunable / 1e6, 2), round(shape.total / 1e6, 2)) for size, shape in shapes.items()} == {
        "58m": (41.55, 57.94),
        "162m": (137.82, 162.42),
        "468m": (435.42, 468.24),
    }


def test_budgets_of_the_paper_are_tokens_per_prunable_parameter():
    for run in committed(PAPER).of("law"):
        tokens = run.dense_steps * run.tokens_per_step
        assert tokens / run.model.shape.prunable == pytest.approx({"10x": 206, "20x": 396}[run.budget], rel=1e-4)


def test_robustness_changes_one_factor_at_a_time_and_keeps_tokens_and_events():
    runs = committed(PAPER).of("robustness")
    assert len(runs) == 10
    assert {run.optimizer.lr for run in runs} == {4e-4, 1.6e-3, 6.4e-3}
    assert {run.tokens_per_step for run in runs} == {131_072, 524_288, 2_097_152}
    for sparsity in (0, 0.8):
        family = [run for run in runs if run.pruning.sparsity == sparsity]
        assert len(family) == 5
        assert all(run.optimizer.lr == 1.6e-3 or run.optimizer.batch == 256 for run in family)
        assert len({run.schedule.events for run in family}) == 1
        assert max(run.tokens for run in family) == pytest.approx(min(run.tokens for run in family), rel=1e-3)


def test_iso_average_runs_have_nearly_one_average_size():
    for file in (PAPER, LAPTOP, GPU):
        sparse = [run for run in committed(file).of("iso_average") if run.pruning.sparsity]
        averages = [run.schedule.density_avg for run in sparse]
        assert {run.pruning.sparsity for run in sparse} == {0.4, 0.6, 0.8}
        assert max(averages) / min(averages) < 1.03


def test_seeds_hold_three_of_the_dense_run_and_of_all_four_pairs():
    for file in (PAPER, LAPTOP, GPU):
        seeds: dict[tuple[str, str, float], set[int]] = {}
        for run in committed(file).of("seeds"):
            seeds.setdefault((run.size, run.budget, run.pruning.sparsity), set()).add(run.seed)
        size = next(size for size, _, sparsity in seeds if not sparsity and "-" not in size)
        wanted = [
            (size, 0.0),
            *((size, s) for s in (0.2, 0.4, 0.6, 0.8)),
            *((f"{size}-p{s}", 0.0) for s in (20, 40, 60, 80)),
        ]
        largest = {
            (label, sparsity): max(len(s) for (z, _, p), s in seeds.items() if (z, p) == (label, sparsity))
            for label, sparsity in wanted
        }
        assert min(largest.values()) >= 3


def test_no_laptop_run_repeats_data_and_sizes_are_ten_times_apart():
    sweep = committed(LAPTOP)
    assert not any(run.spec.repeat for run in sweep.runs)
    counts = [run.model.shape.prunable for run in sweep.of("law")]
    assert max(counts) / min(counts) >= 10
    assert 90e6 < sum(run.spec.tokens for run in sweep.runs) < 130e6


def test_the_lr_sweep_holds_the_sizes_and_partner_widths_of_the_laptop_sweep():
    laptop, tuning = committed(LAPTOP), committed(LAPTOP_LR)
    widths = {run.model.shape for run in tuning.of("lr")}
    assert {run.model.shape for run in laptop.of("law")} <= widths
    assert {run.model.shape for run in laptop.of("seeds") if "-p" in run.size} <= widths
    assert set(Counter((run.size, run.budget) for run in tuning.of("lr")).values()) == {5}
    assert sum(run.spec.tokens for run in tuning.runs) < 30e6


def test_runs_that_need_more_text_than_c4_are_refused_by_name_unless_they_may_repeat_it(tmp_path):
    data = yaml.safe_load(PAPER.read_text())
    data.pop("repeat")
    file = tmp_path / "paper.yaml"
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(UserError, match="5 runs need more text") as error:
        expand(file)
    assert error.value.key == "repeat"
    needed = [
        "468m-20x-s40-d25-p50-seed0",
        "468m-20x-s60-d25-p50-seed0",
        "468m-20x-s80-d25-p50-seed0",
        "468m-10x-s80-d25-p50-seed0",
        "162m-20x-s80-d00-p25-seed0",
    ]
    assert all(run_id in str(error.value.found) for run_id in needed)
    assert {run.spec.run_id for run in committed(PAPER).runs if run.spec.repeat} == set(needed)
    file.write_text(yaml.safe_dump(data | {"repeat": True}))
    assert len(expand(file).of("law")) == 30


def test_expansion_and_plan_need_neither_torch_nor_ray_nor_deepspeed():
    blocked = "import sys; sys.modules.update(dict.fromkeys(['torch', 'ray', 'deepspeed', 'transformers'])); "
    work = f"from sweeps.__main__ import main; sys.exit(main(['expand', {str(QUICK)!r}]) or main(['plan', {str(QUICK)!r}, '--json']))"
    done = subprocess.run(
        [sys.executable, "-c", blocked + work], cwd=SWEEPS.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------ sharing and naming


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


def test_confirmed_windows_are_trained_at_fresh_seeds(sweep_file):
    file = sweep_file(
        studies="""
        seeds:
          seeds: [0]
          confirm: {size: 4k, seeds: [5, 6], windows: {20tpp: {0.4: [{dense: 0, prune: 0.5}], 0.8: []}}}"""
    )
    assert run_ids(file) == ["4k-20tpp-s40-d00-p50-seed5", "4k-20tpp-s40-d00-p50-seed6"]


def test_a_changed_batch_keeps_the_tokens_and_the_nearest_number_of_events():
    for runs in (committed(file).of("robustness") for file in (LAPTOP, GPU, QUICK)):
        sparse = [run for run in runs if run.pruning.sparsity]
        centre = sparse[0].schedule.events
        for run in sparse:
            assert run.tokens == pytest.approx(sparse[0].tokens, rel=0.01)
            assert run.schedule.events == centre or run.pruning.interval == 1


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("blocks", "key", "found"),
    [
        ({"bugdets": "{}"}, "bugdets", "bugdets"),
        ({"studies": "{law: {sizes: [4k], budgets: [10tpp], sparsities: [0], seed: 1}}"}, "studies.law.seed", "seed"),
        ({"model": "{vocab: 288, sequence: 64, layers: 2, heads: 1, dropout: 0.1}"}, "model.dropout", "dropout"),
        ({"sizes": "{4k: {d_model: 8, mlp: 32, lr: 0.01, width: 3}}"}, "sizes.4k.width", "width"),
        ({"sizes": "{4k: {d_model: 9, mlp: 32, lr: 0.01}}"}, "sizes.4k.d_model", "9 with 1 heads"),
        ({"sizes": "{4k: {d_model: 8, mlp: 32}}"}, "sizes.4k.lr", None),
        ({"budgets": "{10tpp: -10}"}, "budgets.10tpp", "-10"),
        ({"studies": "{law: {sizes: [4k], budgets: [10tpp], sparsities: [1.2]}}"}, "studies.law.sparsities", "1.2"),
        ({"studies": "{law: {sizes: [5k], budgets: [10tpp], sparsities: [0.2]}}"}, "studies.law", "5k"),
        ({"studies": "{law: {sizes: [4k], budgets: [30tpp], sparsities: [0.2]}}"}, "studies.law", "30tpp"),
        ({"pruning": "{window: {dense: 0.5, prune: 0.75}}"}, "pruning.window.prune", "dense 0.5 + prune 0.75 = 1.25"),
        (
            {"runs": "[{size: 4k, budget: 10tpp, sparsity: 0.8, window: {dense: 0.75, prune: 0.5}}]"},
            "runs[0].window.prune",
            "1.25",
        ),
        ({"runs": "[{size: 4k, budget: 10tpp, sparsity: 1}]"}, "runs[0].sparsity", "1"),
        ({"runs": "[{size: 4k, budget: 10tpp, studies: [lore]}]"}, "runs[0].studies[0]", "lore"),
        ({"runs": "[{size: 4k, budget: 10tpp, sparsity: 0.8, shape: dense}]"}, "runs[0].shape", "dense"),
        ({"pruning": "{interval: 500}"}, "pruning.interval", "an event every 500 steps"),
        (
            {"runs": "[{size: 4k, budget: 10tpp, sparsity: 0.8, interval: 500}]"},
            "runs[0].interval",
            "an event every 500 steps",
        ),
        (
            {
                "studies": "{controls: {size: 4k, budget: 10tpp, sparsities: [0.8], variants: [{do_not_prune: [lm_head]}]}}"
            },
            "studies.controls.do_not_prune",
            "lm_head",
        ),
        (
            {"studies": "{controls: {size: 4k, budget: 10tpp, sparsities: [0.2], variants: [{do_not_prune: [head]}]}}"},
            "studies.controls.do_not_prune",
            "head",
        ),
        ({"studies": "{pairs: {size: 4k, budgets: [10tpp], sparsities: [0]}}"}, "studies.pairs.sparsities", "0"),
        (
            {"studies": "{pairs: {size: 4k, budgets: [10tpp], sparsities: [0.8]}}", "partners": "{mlp_multiple: 64}"},
            "partners.mlp_multiple",
            None,
        ),
        (
            {
                "studies": "{robustness: {size: 4k, budget: 10tpp, sparsities: [0], lr_multiples: [1], batch_multiples: [0.3]}}"
            },
            "studies.robustness.batch_multiples",
            "0.3 x 8",
        ),
        (
            {"corpus": "{source: package, name: botocore, unique_tokens: 50_000}"},
            "repeat",
            "4k-10tpp-s80-d25-p50-seed0",
        ),
        ({"studies": None}, "studies", None),
    ],
)
def test_bad_input_is_refused_with_file_key_found_and_expected(sweep_file, blocks, key, found):
    file = sweep_file(**blocks)
    with pytest.raises(UserError) as error:
        expand(file)
    assert str(error.value.file) == str(file)
    assert error.value.key == key
    assert found is None or found in str(error.value.found)
    assert error.value.expected
    assert str(file) in str(error.value)


def test_two_specs_with_one_id_are_refused_with_both_named(sweep_file):
    file = sweep_file(
        runs="[{size: 13k, budget: 10tpp, id: same}, {size: 13k, budget: 20tpp, id: same, studies: [law]}]"
    )
    with pytest.raises(UserError, match="two specs with one id") as error:
        expand(file)
    assert error.value.key == "same"
    assert str(error.value.found).count("(") == 2


def test_a_refused_file_exits_with_code_two_and_says_why_on_stderr(sweep_file):
    file = sweep_file(pruning="{interval: 500}")
    done = subprocess.run(
        [sys.executable, "-m", "sweeps", "expand", str(file)],
        cwd=SWEEPS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert all(word in done.stderr for word in (str(file), "pruning.interval", "found:", "expected:"))
