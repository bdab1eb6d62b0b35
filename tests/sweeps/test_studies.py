"""What the committed sweep files expand to."""

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from repro.errors import UserError
from sweeps.grid import expand

SWEEPS = Path(__file__).parents[2] / "sweeps"
PAPER, LAPTOP, GPU, QUICK, LAPTOP_LR = (
    SWEEPS / f"{name}.yaml" for name in ("paper", "laptop", "gpu", "quick", "laptop-lr")
)
REGIME, NIGHT, LR_SPARSE, LAPTOP_NOISE, LAPTOP_PAPER = (
    SWEEPS / f"{name}.yaml" for name in ("regime", "regime-night", "lr-sparse", "laptop-noise", "laptop-paper")
)
STUDIES = {"schedules", "law", "pairs", "robustness", "iso_average", "dense", "seeds", "controls"}

committed = cache(expand)


@pytest.mark.parametrize("file", [PAPER, LAPTOP, GPU, QUICK, LAPTOP_PAPER])
def test_every_study_has_runs_with_unique_ids_and_fingerprints(file):
    sweep = committed(file)
    assert set(sweep.studies) >= STUDIES
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


@pytest.mark.parametrize(
    ("file", "pairs", "tolerance"),
    [(PAPER, 4, 1.2e-4), (LAPTOP, 8, 4e-3), (LAPTOP_PAPER, 8, 4e-3), (GPU, 8, 5e-4), (QUICK, 1, 4e-3)],
)
def test_every_partner_matches_its_sparse_runs_realised_average_and_shares_the_rest(file, pairs, tolerance):
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
            assert partner.model.shape.prunable == pytest.approx(average, rel=tolerance)
        else:
            assert partner.model.shape.total == pytest.approx(average + shape.total - shape.prunable, rel=tolerance)
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
    for file in (PAPER, LAPTOP, GPU, LAPTOP_PAPER):
        sparse = [run for run in committed(file).of("iso_average") if run.pruning.sparsity]
        averages = [run.schedule.density_avg for run in sparse]
        assert {run.pruning.sparsity for run in sparse} == {0.4, 0.6, 0.8}
        assert max(averages) / min(averages) < 1.03


def test_seeds_hold_three_of_the_dense_run_and_of_all_four_pairs():
    for file in (PAPER, LAPTOP, GPU, LAPTOP_PAPER):
        seeds: dict[tuple[str, str, float], set[int]] = {}
        for run in committed(file).of("seeds"):
            seeds.setdefault((run.size, run.budget, run.pruning.sparsity), set()).add(run.seed)
        size = next(size for size, _, sparsity in seeds if sparsity)
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
    runs = [run.spec for run in committed(LAPTOP).runs]
    assert not any(run.repeat for run in runs)
    assert all(run.tokens <= (run.corpus.unique_tokens or 0) for run in runs)
    counts = {run.model.shape.prunable for run in committed(LAPTOP).of("law")}
    assert len(counts) == 3
    assert max(counts) / min(counts) >= 10
    assert sum(run.tokens for run in runs) < 400e6  # in 17 minutes, at 200 thousand tokens a second in either lane


def test_the_papers_budgets_on_a_laptop_are_all_of_the_laptops_studies_and_seeds_without_a_repeated_token():
    laptop, paper = committed(LAPTOP), committed(LAPTOP_PAPER)
    assert set(paper.studies) == set(laptop.studies)
    runs = [run.spec for run in paper.runs]
    assert not any(run.repeat for run in runs)
    assert all(run.tokens <= (run.corpus.unique_tokens or 0) for run in runs)
    for run in paper.of("law"):
        ratio = run.dense_steps * run.tokens_per_step / run.model.shape.prunable
        assert ratio == pytest.approx({"206tpp": 206, "396tpp": 396}[run.budget], rel=1e-2)
    counts = {run.model.shape.prunable for run in paper.of("law")}
    assert max(counts) / min(counts) >= 10
    seeds = {(run.pruning.sparsity, run.seed) for run in paper.of("seeds")}
    assert seeds >= {(sparsity, seed) for sparsity in (0.2, 0.4, 0.6, 0.8) for seed in range(3)}
    header = " ".join(LAPTOP_PAPER.read_text().split("extends")[0].replace("#", "").split())
    [billions], [minutes] = re.findall(r"about ([\d.]+) B tokens", header), re.findall(r"about (\d+) minutes", header)
    tokens = sum(run.tokens for run in runs)
    assert float(billions) == pytest.approx(tokens / 1e9, rel=0.1)
    kept = json.loads((SWEEPS.parent / "docs/evidence/laptop-paper/noise.json").read_text())
    assert int(minutes) == round(kept["minutes"]) < 180


@pytest.mark.parametrize("file", [LAPTOP, LAPTOP_NOISE, LAPTOP_PAPER])
def test_the_laptops_dense_runs_have_three_ratios_of_tokens_to_parameters_at_every_size(file):
    """From half to four times the usual tokens, so that a law of both is identified."""
    dense = {
        run
        for study in ("dense", "law", "seeds")
        if study in committed(file).studies
        for run in committed(file).of(study)
    }
    ratios: dict[str, set[int]] = {}
    for run in dense:
        if not run.pruning.sparsity and "-" not in run.size:
            ratios.setdefault(run.size, set()).add(round(run.tokens / run.model.shape.prunable))
    sizes = committed(file if "law" in committed(file).studies else LAPTOP)
    assert set(ratios) == {run.size for run in sizes.of("law")}
    for found in ratios.values():
        assert len(found) >= 3
        assert max(found) >= 7 * min(found)


def test_the_laptops_noise_is_measured_at_four_seeds_of_every_kind_of_run_at_the_laptops_rates():
    runs, sizes = committed(LAPTOP_NOISE).of("seeds"), {run.size for run in committed(LAPTOP).of("law")}
    seeds: dict[tuple[str, float], set[int]] = {}
    for run in runs:
        seeds.setdefault((run.size, run.pruning.sparsity), set()).add(run.seed)
    assert {(size, sparsity) for size in sizes for sparsity in (0, 0.4, 0.8)} <= seeds.keys()
    assert any("-p" in size for size, _ in seeds)
    assert {len(found) for found in seeds.values()} == {4}
    usual = {run.model.shape: run.optimizer.lr for run in committed(LAPTOP).of("law")}
    assert all(run.optimizer.lr == usual.get(run.model.shape, run.optimizer.lr) for run in runs)


def test_the_night_s_map_holds_every_run_of_the_day_s_and_more():
    day, night = ({run.spec.fingerprint: run.spec.run_id for run in committed(f).runs} for f in (REGIME, NIGHT))
    assert day.items() < night.items()


def test_the_sparse_lr_sweep_tries_every_density_and_window_of_two_sizes_at_one_set_of_multiples_and_three_seeds():
    runs = committed(LR_SPARSE).of("lr")
    tried = Counter((run.size, run.pruning.sparsity, run.pruning.start, run.seed) for run in runs)
    assert set(tried.values()) == {5}
    assert {seed for *_, seed in tried} == {0, 1, 2}
    sizes = {size for size, *_ in tried if "-" not in size}
    assert len(sizes) == 2
    for size in sizes:
        assert len({(sparsity, start) for label, sparsity, start, _ in tried if label == size and sparsity}) == 4
        assert any(label == size and not sparsity for label, sparsity, *_ in tried)  # the dense run, to compare with


def test_the_lr_sweep_tunes_every_size_every_partners_width_and_the_80_run_of_the_laptop_sweep():
    laptop, tuning = committed(LAPTOP), committed(LAPTOP_LR).of("lr")
    tried: dict[tuple[str, float, int], list[float]] = {}
    for run in tuning:
        tried.setdefault((run.size, run.pruning.sparsity, run.seed), []).append(run.optimizer.lr)
    dense = [run for run in (*laptop.of("law"), *laptop.of("seeds")) if not run.pruning.sparsity]
    for run in dense:
        rates = tried[run.size, 0, 0]
        assert min(rates) < run.optimizer.lr < max(rates)
    assert any("-p" in run.size for run in dense)
    [middle] = {run.size for run in laptop.of("schedules")}
    assert (middle, 0.8, 0) in tried
    for rates in tried.values():
        rates.sort()
        assert len(rates) == 5
        assert all(b / a == pytest.approx(1.7, rel=0.03) for a, b in pairwise(rates))
    assert sum(run.tokens for run in tuning) < 0.4 * sum(run.spec.tokens for run in laptop.runs)


@pytest.mark.slow
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


def test_a_changed_batch_keeps_the_tokens_and_the_nearest_number_of_events():
    for runs in (committed(file).of("robustness") for file in (LAPTOP, GPU, QUICK, LAPTOP_PAPER)):
        sparse = [run for run in runs if run.pruning.sparsity]
        centre = sparse[0].schedule.events
        for run in sparse:
            assert run.tokens == pytest.approx(sparse[0].tokens, rel=0.02)  # but for whole steps
            short = [abs(run.schedule.events - centre)]
            for interval in {max(1, run.pruning.interval - 1), run.pruning.interval + 1}:
                other = replace(run.pruning, interval=interval).schedule(run.dense_steps)
                short.append(abs(other.events - centre))
            assert short[0] == min(short)
