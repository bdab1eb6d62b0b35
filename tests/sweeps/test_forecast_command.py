"""`sweeps plan --cluster`: measured throughput, prices, what it prints and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweeps.__main__ import main

ROOT = Path(__file__).parents[2]
QUICK = ROOT / "sweeps" / "quick.yaml"
H100 = "gpus=64,type=h100,per_node=8"


def test_measured_throughput_decides_the_hours(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "measured.json"
    file.write_text(json.dumps({"tokens_per_second": {"cpu": {"4k": 1000.0, "13k": 500.0}}}))
    command = [
        "plan",
        str(QUICK),
        "--cluster",
        "gpus=2,type=cpu",
        "--measured",
        str(file),
        "--price-per-gpu-hour",
        "3",
        "--json",
    ]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    for run_id, rate in (("4k-10tpp-s00-seed0", 1000), ("13k-20tpp-s00-seed0", 500)):
        run = found["runs"][run_id]
        assert run["source"] == "measured"
        assert run["hours"] * 3600 == pytest.approx(0.7 + (run["tokens"] + 64 * 4 * 64 / 3) / rate)
    assert {run["workers"] for run in found["runs"].values()} == {1}
    assert found["cost"] == pytest.approx(3 * found["gpu_hours"])
    assert found["cost_held"] == pytest.approx(3 * 2 * found["makespan_hours"])
    assert any("the memory of a cpu isn't known" in text for text in found["warnings"])


def test_the_object_has_what_was_promised_and_the_text_says_its_assumptions(capsys: pytest.CaptureFixture) -> None:
    assert main(["plan", str(QUICK), "--cluster", H100, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    hours = {"gpu_hours", "makespan_hours", "lower_bound_hours", "naive_makespan_hours"}
    assert found.keys() >= hours | {"runs", "executed_flops", "effective_flops", "warnings", "memory"}
    assert "cost" not in found
    assert found["executed_flops"] == pytest.approx(sum(run["executed_flops"] for run in found["runs"].values()))
    assert main(["plan", str(QUICK), "--cluster", H100, "--price-per-gpu-hour", "2.5"]) == 0
    text = capsys.readouterr().out
    for part in (
        "20% at 10 M, 30% at 42 M, 37% at 138 M, 41% at 435 M, 45% at 1139 M",
        "ZeRO 3",
        "over the lower bound of",
        "at 2.5 per GPU-hour",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--cluster", "gpus=64"], ["missing key", "type"]),
        (["--cluster", "gpus=64,type=h100,nodes=8"], ["unknown key", "nodes", "per_node"]),
        (["--cluster", "gpus=64,gpus=8,type=h100"], ["given twice", "gpus"]),
        (["--cluster", "64"], ["not key=value", "gpus=64,type=h100"]),
        (["--cluster", "gpus=many,type=h100"], ["wrong type", "'many'", "a whole number"]),
        (["--cluster", "gpus=0,type=h100"], ["no GPUs", "at least 1"]),
        (["--cluster", "gpus=12,type=h100,per_node=8"], ["whole nodes", "per_node", "a divisor"]),
        (["--cluster", "gpus=8,type=h100,per_node=0"], ["per_node", "at least 1"]),
        (["--cluster", "gpus=8,type=h100,max_workers=16"], ["max_workers", "1 to 8"]),
        (["--cluster", "gpus=8,type=h101"], ["no such device", "h101", "h100-pcie"]),
        (["--cluster", "gpus=8,type=h100", "--measured", "absent.json"], ["no such file", "absent.json"]),
        (["--price-per-gpu-hour", "2.5"], ["--price-per-gpu-hour without a cluster"]),
    ],
)
def test_bad_input_is_named_with_what_was_expected(
    words: list[str], says: list[str], capsys: pytest.CaptureFixture
) -> None:
    assert main(["plan", str(QUICK), *words]) == 2
    error = capsys.readouterr().err
    assert all(part in error for part in says), error


@pytest.mark.parametrize("price", ["free", "-1", "inf", "nan"])
def test_a_price_is_a_number(price: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["plan", str(QUICK), "--cluster", H100, "--price-per-gpu-hour", price])
    assert stopped.value.code == 2
    assert "is not a price" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("measured", "says"),
    [
        ({"tokens_per_second": {"a100": {"4k": 1.0}}}, ["for this device", "found:    a100", "expected: h100"]),
        ({"tokens_per_second": {"h100": {"7b": 1.0}}}, ["for any size of this sweep", "7b", "4k"]),
        ({"tokens_per_second": {"h100": {"4k": 0}}}, ["out of range", "tokens_per_second.h100.4k"]),
        ({"tokens_per_second": {"h100": {"4k": "fast"}}}, ["wrong type", "'fast'"]),
        ({"tokens": 1}, ["unknown key", "tokens_per_second"]),
    ],
)
def test_a_measured_file_that_does_not_serve_is_refused(
    measured: dict, says: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / "measured.json"
    file.write_text(json.dumps(measured))
    assert main(["plan", str(QUICK), "--cluster", "gpus=8,type=h100", "--measured", str(file)]) == 2
    error = capsys.readouterr().err
    assert str(file) in error
    assert all(part in error for part in says), error


def test_a_precision_that_the_device_has_not_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "half.yaml"
    studies = "{law: {sizes: [4k], budgets: [10tpp], sparsities: [0]}}"  # no partners, whose heads bf16 wants wider
    file.write_text(f"extends: {QUICK}\nprecision: bf16\nstudies: {studies}\n")
    assert main(["plan", str(file), "--cluster", "gpus=8,type=v100"]) == 2
    assert "a V100 has no bf16" in capsys.readouterr().err
