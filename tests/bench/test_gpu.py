"""`python -m bench.gpu`: the speed of a sweep's sizes, on a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.gpu import main
from bench.speed import kind_of
from sweeps.__main__ import main as sweeps_main
from tests.sweeps import small

DOCUMENTS = "{source: package, name: pydoc, packing: documents}"


@pytest.mark.full  # test_first_hour.py measures a size alone
def test_it_measures_a_size_alone_and_beside_itself_and_the_plan_reads_what_it_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = small.write(tmp_path, corpus=DOCUMENTS, repeat="true"), tmp_path / "cpu.json"
    words = ["--cpu", "--sizes", "4k", "--warm", "3", "--seconds", "0.1", "--beside", "2", "--out", str(out)]
    assert main([str(file), *words]) == 0
    said = capsys.readouterr().out
    assert "attention: " in said
    assert "4k       2 at once: " in said
    [(size, rate)] = json.loads(out.read_text())["tokens_per_second"]["cpu"].items()
    assert (size, rate > 0) == ("4k", True)
    assert sweeps_main(["plan", str(file), "--cluster", "gpus=1,type=cpu", "--measured", str(out), "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)["runs"]["4k-10tpp-s80-d25-p50-seed0"]
    assert planned["source"] == "measured"


@pytest.mark.slow
def test_a_size_that_takes_longer_than_its_share_is_ended_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies = "{law: {sizes: [4k, 13k], budgets: [10tpp], sparsities: [0.8]}}"
    file, out = small.write(tmp_path, corpus=DOCUMENTS, repeat="true", studies=studies), tmp_path / "cpu.json"
    assert main([str(file), "--cpu", "--minutes", "0.05", "--out", str(out)]) == 1  # less than it takes to import torch
    said = capsys.readouterr().out
    assert "4k       1 at once: the process that measured 4k ended early" in said
    assert "over " in said
    assert json.loads(out.read_text()) == {"tokens_per_second": {}}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--cpu", "--sizes", "4k,5k"], ["no such size", "'5k'", "some of: 4k"]),
        (["--cpu", "--sizes", ""], ["no such size", "''"]),
        (["absent.yaml", "--cpu"], ["no such file", "absent.yaml"]),
        ([], ["needs a GPU", "--cpu"]),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: list[str], says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(part in err for part in says), err


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_cublas", "matmul"),
        ("nvjet_tst_128x256_64x4_1x2_h_bz_coopA_TNT", "matmul"),
        ("void pytorch_flash::flash_fwd_kernel<pytorch_flash::Flash_fwd_kernel_traits<64, 128>>", "attention"),
        ("fmha_cutlassF_bf16_aligned_64x64_rf_sm80(PyTorchMemEffAttention)", "attention"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7", "attention"),
        ("triton_red_fused__log_softmax__to_copy_nll_loss_forward_3", "elementwise"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add>", "elementwise"),
        ("ncclDevKernel_AllReduce_Sum_bf16_RING_LL", "communication"),
        ("Memcpy HtoD (Pinned -> Device)", "copies"),
        ("aten::mm", "matmul"),
        ("aten::_softmax", "elementwise"),
    ],
)
def test_a_kernel_is_known_by_its_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind
