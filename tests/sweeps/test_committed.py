"""The sweep files at paper scale and for one GPU: their headers' prices, the released models' steps, what tunes what."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from repro import columns
from repro.ladder import Shape
from repro.spec import RunSpec
from repro.training import hardware
from sweeps.devices import Cluster
from sweeps.forecast import forecast
from sweeps.forecast_warnings import hours
from sweeps.grid import Sweep, expand
from sweeps.plan import amount
from sweeps.plan_report import Quote
from sweeps.throughput import Throughput, flops_per_token

ROOT = Path(__file__).parents[2]
PRICED = ("paper", "lr", "pairs-1b", "gpu", "gpu-lr", "p2-gpu", "p2-public", "arrow-gpu")
# Final sparsity -> steps, last event, average density (None: on no card); all prune from step 2,500.
CARDS = {
    0.2: (11_200, 8_100, 0.8919),
    0.4: (13_050, 8_875, 0.7651),
    0.6: (16_375, 10_100, None),
    0.8: (25_050, 12_600, 0.3984),
}


@cache
def sweep(name: str) -> Sweep:
    return expand(ROOT / "sweeps" / f"{name}.yaml")


@cache
def planned(name: str) -> Sweep:
    """A sweep whose public models are not read."""
    return expand(ROOT / "sweeps" / f"{name}.yaml", read_models=False)


def header(name: str) -> str:
    """The comment that a file begins with, its lines joined and every space one."""
    lines = (ROOT / "sweeps" / f"{name}.yaml").read_text().splitlines()
    comment = lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]
    return " ".join(" ".join(line.lstrip("#") for line in comment).split())


@cache
def quote(name: str) -> Quote:
    """The price of a file on the cluster that its header names."""
    [(file, cluster)] = re.findall(r"`python -m sweeps plan (\S+) --cluster (\S+)`", header(name))
    assert file == f"sweeps/{name}.yaml"
    return Quote.of(ROOT / file, cluster)


@pytest.mark.parametrize("name", PRICED)
def test_the_header_says_what_the_plan_says(name: str) -> None:
    made, total = quote(name).forecast, quote(name).plan.total
    price = (
        f"{total.runs} runs, {amount(total.tokens)} tokens, {total.effective_flops:.3g} effective and "
        f"{total.executed_flops:.3g} executed FLOPs, {hours(made.gpu_hours)} GPU-hours, {hours(made.makespan_hours)} h"
    )
    assert price in header(name)


@pytest.mark.parametrize("name", ["paper", "gpu"])
def test_the_header_says_which_speed_is_assumed(name: str) -> None:
    sizes = {run.size: run for run in sorted(sweep(name).of("law"), key=lambda run: run.model.shape.prunable)}
    speed, peak = Throughput.assumed(quote(name).forecast.cluster, "bf16"), hardware.GPUS["H100"].bf16
    shares = [f"{speed.rate(run) / peak:.0%}".rstrip("%") for run in sizes.values()]
    assert "MFU {}, {} and {}% at {}, {} and {}".format(*shares, *sizes) in header(name)
    if name == "gpu":
        rates = [f"{speed.rate(run) / flops_per_token(run.model) / 1e6:.1f}" for run in sizes.values()]
        assert "{}, {} and {} M tokens/s".format(*rates) in header(name)


# ------------------------------------------------------------------ pruning after training


@pytest.mark.parametrize("name", ["p2", "arrow"])
def test_the_laptops_studies_take_their_headers_minutes(name: str) -> None:
    [(cluster, measured)] = re.findall(rf"plan sweeps/{name}.yaml --cluster (\S+) --measured (\S+)`", header(name))
    made = forecast(sweep(name), Cluster.parse(cluster), ROOT / measured)
    minutes = made.makespan_hours * 60
    assert minutes <= 25
    assert f"{minutes:.0f} minutes by" in header(name)


def test_on_a_gpu_it_takes_less_than_an_hour_by_the_plan() -> None:
    assert quote("p2-gpu").forecast.makespan_hours < 1


@pytest.mark.parametrize("name", ["p2", "p2-gpu"])
def test_its_methods_remove_the_same_at_each_rate_from_parents_ten_fold_apart(name: str) -> None:
    runs = [run for run in sweep(name).of("post_training") if run.surgery is not None and run.surgery.rate]
    sizes = sorted({run.parent.model.shape.total for run in sweep(name).of("post_training") if run.parent})
    assert len(sizes) == 3
    assert sizes[2] > (10 if name == "p2" else 7) * sizes[0]
    for before in sizes:
        rows = [columns.planned(run) for run in runs]
        removed = {
            row["surgery_rate"]: [one["rho"] for one in rows if one["surgery_rate"] == row["surgery_rate"]]
            for row in rows
            if row["N_total_before"] == before
        }
        assert len(removed) == 3
        for rate, shares in removed.items():
            assert len(shares) >= 3
            assert max(abs(share - rate) for share in shares) < 0.01


# All parameters as the model cards count them, and the blocks that the law's rates, 15, 25 and 35%, take of each.
PUBLISHED = {
    "Qwen/Qwen2.5-0.5B": (494_032_768, (5, 8, 12)),
    "Qwen/Qwen2.5-1.5B": (1_543_714_304, (5, 8, 12)),
    "Qwen/Qwen2.5-3B": (3_085_938_688, (6, 10, 14)),
    "meta-llama/Llama-3.2-1B": (1_235_814_400, (3, 5, 7)),
    "meta-llama/Llama-3.2-3B": (3_212_749_824, (5, 8, 11)),
    "meta-llama/Llama-3.1-8B": (8_030_261_248, (6, 9, 13)),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_public_models_have_their_published_sizes_and_need_a_network(model: str) -> None:
    runs = [run for run in planned("p2-public").of("post_training") if getattr(run.start, "model", "") == model]
    total, blocks = PUBLISHED[model]
    before = {run.model_before for run in runs}
    assert {one.shape.total for one in before if one} == {total}
    depth = [run for run in runs if run.surgery and run.surgery.method == "depth-taylor" and run.surgery.rate]
    [layers] = {one.layers for one in before if one}
    assert sorted({layers - run.model.layers for run in depth}) == list(blocks)
    assert {run.corpus.tokenizer for run in runs} == {model}
    assert any(
        "a network is needed: `sweeps run` downloads" in text and model in text for text in quote("p2-public").warnings
    )


# ------------------------------------------------------------------ the released ~1B models


def released() -> dict[float, RunSpec]:
    return {run.pruning.sparsity: run for run in sweep("pairs-1b").of("pairs") if run.pruning.sparsity}


def test_the_released_models_have_the_cards_counts_batch_and_learning_rate() -> None:
    assert released().keys() == CARDS.keys()
    for run in released().values():
        assert (round(run.model.shape.prunable / 1e6, 2), round(run.model.shape.total / 1e6, 2)) == (1139.28, 1204.88)
        assert (run.optimizer.batch, run.model.sequence, run.optimizer.lr, run.dense_steps) == (
            4096,
            2048,
            3e-4,
            10_000,
        )


@pytest.mark.parametrize("sparsity", CARDS)
def test_a_released_model_has_its_cards_steps_and_average_density(sparsity: float) -> None:
    schedule, (total, end, density) = released()[sparsity].schedule, CARDS[sparsity]
    assert schedule.total_steps == pytest.approx(total, rel=2e-3)
    assert schedule.start_step == pytest.approx(2_500, abs=0.01 * total)
    assert schedule.end_step == pytest.approx(end, abs=0.01 * total)
    if density is not None:
        assert schedule.density_avg == pytest.approx(density, abs=2e-3)
    found = f"{schedule.total_steps:,} ({total:,}) {schedule.end_step:,} ({end:,}) {schedule.density_avg:.4f}"
    assert f"{sparsity:.0%} {found}".replace(" 0.", " .") in header("pairs-1b")


def test_each_released_model_has_a_partner_of_its_realised_average_and_its_steps() -> None:
    partners = {run.size: run for run in sweep("pairs-1b").of("pairs") if not run.pruning.sparsity}
    assert set(partners) == {f"1b-p{round(100 * sparsity)}" for sparsity in CARDS}
    for sparsity, sparse in released().items():
        partner = partners[f"1b-p{round(100 * sparsity)}"]
        average = sparse.schedule.n_avg(sparse.model.shape.prunable)
        assert partner.model.shape.prunable == pytest.approx(average, rel=8e-5)
        assert (partner.schedule.total_steps, partner.tokens) == (sparse.schedule.total_steps, sparse.tokens)
        assert (partner.optimizer, partner.corpus, partner.seed) == (sparse.optimizer, sparse.corpus, sparse.seed)


@pytest.mark.parametrize("name", ["paper", "lr", "pairs-1b", "gpu", "gpu-lr"])
def test_every_head_in_bf16_has_a_multiple_of_8_dimensions(name: str) -> None:
    """Others fall to the slowest attention kernel."""
    runs = [run.spec for run in sweep(name).runs]
    assert {run.precision for run in runs} == {"bf16"}
    assert [run.run_id for run in runs if run.model.shape.per_head % 8] == []


# ------------------------------------------------------------------ learning rates


@pytest.mark.parametrize(("tuning", "tuned", "ratio"), [("lr", "paper", 20), ("gpu-lr", "gpu", 30)])
def test_every_size_and_partner_width_is_tuned_around_its_own_rate_on_a_short_budget(
    tuning: str, tuned: str, ratio: int
) -> None:
    runs = sweep(tuning).of("lr")
    used: dict[tuple[str, Shape], float] = {}  # the first of a size is at its own rate
    for run in sweep(tuned).runs:
        used.setdefault((run.spec.size, run.spec.model.shape), run.spec.optimizer.lr)
    assert {(run.size, run.model.shape) for run in runs} == used.keys()
    for (size, shape), rate in used.items():
        own = sorted((run for run in runs if run.size == size), key=lambda run: run.optimizer.lr)
        assert [run.optimizer.lr / rate for run in own] == pytest.approx([0.25, 0.5, 1, 2, 4])
        assert {run.budget for run in own} == {f"{ratio}tpp"}
        assert all(run.tokens / shape.prunable == pytest.approx(ratio, rel=1e-2) for run in own)
    assert sum(run.tokens for run in runs) < 0.1 * sum(run.spec.tokens for run in sweep(tuned).runs)


# ------------------------------------------------------------------ one GPU


def test_the_gpu_sweep_and_its_tuning_fit_one_h100_in_twelve_hours() -> None:
    made = [quote(name).forecast for name in ("gpu-lr", "gpu")]
    assert {(one.cluster.gpus, one.cluster.known) for one in made} == {(1, "H100")}
    assert sum(one.makespan_hours for one in made) <= 12
    assert [text for one in made for text in one.warnings] == []


def test_the_gpu_sweep_is_at_1_to_20_m_parameters_ten_times_apart_and_repeats_no_text() -> None:
    runs = sweep("gpu").of("law")
    counts = {run.size: run.model.shape.prunable for run in runs}
    assert len(counts) == 3
    assert all(1e6 <= count <= 20e6 for count in counts.values())
    assert max(counts.values()) >= 10 * min(counts.values())
    assert not any(run.spec.repeat for run in sweep("gpu").runs)
    for run in sweep("gpu").runs:
        assert run.spec.corpus.unique_tokens is not None
        assert run.spec.tokens <= run.spec.corpus.unique_tokens


def test_the_gpu_sweeps_partners_have_widths_that_tensor_cores_take() -> None:
    assert {run.spec.model.d_model % 8 for run in sweep("gpu").runs} == {0}


@pytest.mark.full
def test_the_gpu_benchmark_says_that_it_needs_a_gpu() -> None:
    """CUDA_VISIBLE_DEVICES hides any that there is."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu"],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "this needs a GPU" in done.stderr
