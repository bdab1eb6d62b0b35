"""A sweep planned on a cluster: by hand, against its bound, with its warnings, and what it refuses."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from repro.resources import Resources
from repro.training.hardware import GPUS
from sweeps import scaling
from sweeps.__main__ import main
from sweeps.devices import Cluster
from sweeps.forecast import Forecast, forecast
from sweeps.grid import Sweep, expand
from sweeps.memory import checkpoint_bytes, worker_of
from sweeps.plan import Price
from sweeps.throughput import Throughput

ROOT = Path(__file__).parents[2]
PAPER, QUICK = ROOT / "sweeps" / "paper.yaml", ROOT / "sweeps" / "quick.yaml"
H100 = "gpus=64,type=h100,per_node=8"
BATCH = 256 * 2048  # tokens a step
COMPILED = Resources(workers=8, zero_stage=2, compile=True)


@pytest.fixture(scope="module")
def paper() -> Sweep:
    return expand(PAPER)


@pytest.fixture(scope="module")
def made(paper: Sweep) -> dict[int, Forecast]:
    return {gpus: forecast(paper, Cluster.parse(f"gpus={gpus},type=h100,per_node=8")) for gpus in (8, 64, 256)}


def by_hand(
    width: int, layers: int, mlp: int, ratio: int, sparsity: float, start: float, end: float
) -> dict[str, float]:
    """Tokens and FLOPs from the paper's definitions, one step after the other, with nothing of ours."""
    prunable = layers * (4 * width * width + 3 * width * mlp) + width * 32_000
    dense = round(ratio * prunable / BATCH)
    if not sparsity:
        nonzero = [prunable] * dense
    else:
        first = 100 * round(start * dense / 100)
        spent = {n: first + 100 * sum((1 - sparsity) ** ((k + 1) / n) for k in range(n - 1)) for n in range(2, 3000)}
        n = min(spent, key=lambda n: abs(spent[n] - end * dense))
        nonzero = [prunable] * first
        for k in range(n):
            nonzero += [math.floor(prunable * (1 - sparsity) ** ((k + 1) / n) + 1e-6)] * 100
        left = round((dense - spent[n]) / (1 - sparsity))  # steps from the last event on
        nonzero += [nonzero[-1]] * (left - 100)
    tokens = BATCH * len(nonzero)
    return {
        "tokens": tokens,
        "effective_flops": 6 * BATCH * sum(nonzero),
        "executed_flops": 6 * prunable * tokens + 6 * layers * width * 2048 * tokens,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run_id", "what"),
    [
        ("58m-10x-s00-seed0", (512, 6, 2048, 206, 0, 0, 0)),
        ("162m-20x-s80-d25-p50-seed0", (768, 12, 3072, 396, 0.8, 0.25, 0.75)),
        ("468m-10x-s40-d25-p50-seed0", (1024, 24, 4096, 206, 0.4, 0.25, 0.75)),
    ],
)
def test_three_runs_cost_what_the_paper_s_definitions_add_up_to(paper: Sweep, run_id: str, what: tuple) -> None:
    price, hand = Price.of(next(run.spec for run in paper.runs if run.spec.run_id == run_id)), by_hand(*what)
    assert price.tokens == hand["tokens"]
    assert price.effective_flops == pytest.approx(hand["effective_flops"], rel=1e-7)
    assert price.executed_flops == pytest.approx(hand["executed_flops"], rel=1e-12)


def test_a_gpu_hour_by_hand(made: dict[int, Forecast]) -> None:
    """58 M alone at 30% of 989 TFLOP/s: its tokens, a third of what 17 evaluations read, and its start."""
    run = next(run for run in made[64].runs if run.run_id == "58m-10x-s00-seed0")
    assert run.workers == 1
    hand = by_hand(512, 6, 2048, 206, 0, 0, 0)
    steps = hand["tokens"] // BATCH
    heldout = (1 + steps // 1000) * 64 * 64 * 2048
    flops = hand["executed_flops"] * (1 + heldout / 3 / hand["tokens"])
    assert run.gpu_hours == pytest.approx((0.7 + flops / (0.30 * 989e12)) / 3600, rel=1e-5)
    assert run.mfu == pytest.approx(0.30, rel=1e-5)


@pytest.mark.parametrize("gpus", [8, 64, 256])
def test_the_paper_s_sweep_is_packed_within_5_per_cent_of_the_bound(
    made: dict[int, Forecast], paper: Sweep, gpus: int
) -> None:
    found = made[gpus]
    assert 1 <= found.makespan_hours / found.lower_bound_hours <= 1.05
    assert found.naive_makespan_hours > found.makespan_hours
    assert found.gpu_hours <= gpus * found.makespan_hours
    assert found.gpu_hours == pytest.approx(sum(run.gpu_hours for run in found.runs))
    assert sorted(run.run_id for run in found.runs) == sorted(run.spec.run_id for run in paper.runs)


def test_workers_are_powers_of_two_within_a_node_that_divide_the_batch(made: dict[int, Forecast], paper: Sweep) -> None:
    batches = {run.spec.run_id: run.spec.optimizer.batch for run in paper.runs}
    for found in made.values():
        for run in found.runs:
            assert run.workers in (1, 2, 4, 8)
            assert batches[run.run_id] % (run.workers * run.micro_batch) == 0
            assert run.efficiency >= 0.8
    assert {run.workers for run in made[64].runs} == {1, 2, 4, 8}
    assert next(run.workers for run in made[64].runs if run.run_id == "468m-20x-s80-d25-p50-seed0") == 8


def test_eight_workers_by_hand(paper: Sweep) -> None:
    """ZeRO 2 in bf16, two micro-batches: gradients twice and weights once, 2 bytes each, 7/8 of it, at .7 of 450 GB/s."""
    spec = next(run.spec for run in paper.runs if run.spec.run_id == "468m-20x-s00-seed0")
    cluster = Cluster.parse(H100)
    *_, eight = scaling.sizes(spec, cluster, Throughput.assumed(cluster, "bf16"), paper.resources)
    steps = spec.schedule.total_steps
    tokens = spec.tokens + (1 + steps // 1000) * 64 * 64 * 2048 / 3
    alone = tokens * (6 * 435.42e6 + 6 * 24 * 1024 * 2048) / (0.41 * 989e12)
    lost = steps * 7 / 8 * (3 * 2 * 468.24e6 / (0.7 * 450e9) + 5e-3)
    assert (eight.workers, eight.micro_batch) == (8, 16)
    assert eight.seconds == pytest.approx(22.5 + 30 + alone / 8 + lost, rel=1e-4)
    assert eight.efficiency == pytest.approx(alone / (alone + 8 * lost), rel=1e-4)


def test_worker_counts_divide_the_batch_and_stop_where_scaling_does(paper: Sweep) -> None:
    spec = next(run.spec for run in paper.runs if run.spec.size == "58m")
    cluster = Cluster.parse("gpus=64,type=h100,max_workers=64")
    speed = Throughput.assumed(cluster, "bf16")
    found = scaling.sizes(spec, cluster, speed, paper.resources)
    assert [one.workers for one in found] == [1, 2, 4, 8]  # over the network 16 keep less than 80%
    assert scaling.size(spec, 16, 16, cluster, speed, paper.resources).efficiency < scaling.GOOD
    odd = replace(spec, optimizer=replace(spec.optimizer, batch=260))
    assert [one.workers for one in scaling.sizes(odd, cluster, speed, paper.resources)] == [1, 2, 4]


def test_memory_falls_with_the_stage_and_grows_with_the_micro_batch(paper: Sweep) -> None:
    spec = next(run.spec for run in paper.runs if run.spec.size == "468m")
    at = {s: worker_of(spec, COMPILED, 1, zero_stage=s) for s in range(4)}
    assert at[0].states > at[1].states > at[2].states
    # ZeRO 2 in bf16 by hand: 2 bytes of weights, 2 of bucket, 4/8 of gradients, 12/8 of masters and moments; masks.
    assert at[2].states == pytest.approx(468.24e6 * (2 + 2 + 0.5 + 1.5) + 435.42e6 / 8, rel=1e-4)
    wide, wider = (worker_of(spec, COMPILED, m) for m in (16, 32))
    # 16 sequences more: a block's 16 d + 6 mlp and 4 d of the rest; the loss works on as many logits at once, but in 32
    # instead of 16 chunks, each of which keeps 2 bytes for a weight of the LM head.
    more = 16 * 2048 * (24 * (16 * 1024 + 6 * 4096) + 4 * 1024) + 16 * 2 * 32_000 * 1024
    assert wider.activations - wide.activations == more
    assert wide.states == at[2].states


def test_when_each_weight_went_takes_as_many_bits_as_the_last_event_has(paper: Sweep) -> None:
    spec = next(run.spec for run in paper.runs if run.spec.size == "162m" and run.spec.schedule.events > 100)
    in_order = replace(spec, pruning=replace(spec.pruning, mirror=True, choose="last"))
    by_chance = replace(spec, pruning=replace(spec.pruning, mirror=True))
    assert in_order.schedule.events < 1024
    sizes = [worker_of(run, COMPILED, 1).optimizer for run in (in_order, by_chance)]
    bits = len(f"{in_order.schedule.events:b}")
    assert sizes[0] - sizes[1] == checkpoint_bytes(in_order) - checkpoint_bytes(by_chance)
    assert sizes[0] - sizes[1] == bits * spec.model.shape.prunable / 8


def test_the_runs_that_repeat_text_are_named(made: dict[int, Forecast], paper: Sweep) -> None:
    again = [run.spec.run_id for run in paper.runs if run.spec.tokens > 197.71e9]
    [said] = [text for text in made[64].warnings if "repeat" in text]
    assert len(again) == 5
    assert said.startswith("5 runs repeat text: ")
    assert {part.split(" (")[0] for part in said.split(": ")[1].split(", ")} == set(again)


def test_a_straggler_that_leaves_the_cluster_idle_is_warned_of(made: dict[int, Forecast]) -> None:
    said = [text for text in made[256].warnings if text.startswith("a straggler")]
    assert "waiting for 468m-20x-s80-d25-p50-seed0" in said[0]
    assert f"128 GPUs would take {made[256].makespan_hours:.1f} h" in said[0]
    assert not [text for found in (made[8], made[64]) for text in found.warnings if "straggler" in text]


def test_runs_that_do_not_fit_are_warned_of(paper: Sweep) -> None:
    narrow = forecast(paper, Cluster.parse("gpus=64,type=h100,memory=40")).warnings
    [said] = [text for text in narrow if "don't fit" in text]
    assert "468m-20x-s80-d25-p50-seed0" in said
    assert "8 would" in said
    [said] = [
        text for text in forecast(paper, Cluster.parse("gpus=64,type=h100,memory=5")).warnings if "can't fit" in text
    ]
    named = said.split(": ")[1].split(";")[0].split(", ")
    assert sorted(named) == sorted(run.spec.run_id for run in paper.runs if run.spec.size == "468m")


def test_a_corpus_too_small_for_a_run_that_may_not_repeat_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / "once.yaml"
    file.write_text(f"extends: {QUICK}\ncorpus: {{source: package, name: botocore, unique_tokens: 200e3}}\n")
    assert main(["plan", str(file), "--cluster", H100]) == 2
    error = capsys.readouterr().err
    assert "more text than the corpus has" in error
    assert "13k-20tpp-s80-d25-p50-seed0" in error


def test_a_corpus_of_unknown_size_and_models_far_below_the_figures_are_warned_of() -> None:
    said = " ".join(forecast(expand(QUICK), Cluster.parse("gpus=8,type=a100")).warnings)
    assert "corpus.unique_tokens isn't declared for botocore" in said
    assert "no throughput is known for models as small as 13k" in said
    assert "resources.device is cpu" in said


def test_a_plan_loads_neither_torch_nor_ray() -> None:
    program = (
        "import sys; from sweeps.__main__ import main; "
        f"main(['plan', {str(QUICK)!r}, '--cluster', {H100!r}]); "
        "print('loaded:', *{'torch', 'ray', 'deepspeed', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_checkpoints_that_children_start_from_are_counted_one_for_each_step() -> None:
    """On one GPU the four runs follow each other: at the end three have ended, one is at work, and the parent keeps one."""
    sweep = expand(ROOT / "sweeps" / "quick-children.yaml")
    found = forecast(sweep, Cluster(1, "h100", 1))
    one = found.runs[0].checkpoint_bytes
    assert {run.checkpoint_bytes for run in found.runs} == {one}
    assert found.checkpoint_bytes == (4 + 1) * one
    assert found.peak_checkpoint_bytes == (3 + sweep.resources.keep_checkpoints + 1 + 1) * one


def test_a_gpu_of_slower_memory_is_assumed_to_use_less_of_its_peak(paper: Sweep) -> None:
    """An L4 reads 300 GB/s for 121 TFLOP/s, .732 of an H100's bytes for a FLOP; an A100 more of them than an H100."""
    spec = next(run.spec for run in paper.runs if run.spec.size == "58m")
    for device, share in (("h100", 0.30), ("a100", 0.30), ("l4", 0.30 * 0.732)):
        speed = Throughput.assumed(Cluster(1, device), "bf16")
        assert speed.rate(spec) / GPUS[device.upper()].bf16 == pytest.approx(share, rel=1e-3)


def test_an_eager_sweep_is_told_that_the_speed_is_assumed_for_compiled_models(paper: Sweep) -> None:
    eager = replace(paper, resources=replace(paper.resources, compile=False))
    for sweep, warned in ((eager, True), (paper, False)):
        said = forecast(sweep, Cluster.parse(H100)).warnings
        assert any("resources.compile is off" in text for text in said) == warned
