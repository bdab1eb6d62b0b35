"""What is refused in a sweep file, with its file, key, what was found and what was expected."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from repro.errors import UserError
from sweeps import grid
from sweeps.grid import expand
from tests.sweeps.small import write


@pytest.fixture
def sweep_file(tmp_path):
    return partial(write, tmp_path)


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
        ({"studies": "{law: {sizes: [4k], budgets: [10tpp], sparsities: [1.2]}}"}, "studies.law.sparsities[0]", "1.2"),
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
            {"studies": "{pairs: {size: 4k, budgets: [10tpp], sparsities: [0.8]}}", "partners": "{tolerance: 1e-7}"},
            "partners.tolerance",
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
        # names that would become folders
        ({"name": "../../escape"}, "name", "../../escape"),
        ({"name": "a/b"}, "name", "a/b"),
        ({"name": ".hidden"}, "name", ".hidden"),
        ({"name": '"a\\0b"'}, "name", "x00"),
        ({"name": "''"}, "name", "''"),
        ({"name": "-rf"}, "name", "-rf"),
        ({"sizes": "{../4k: {d_model: 8, mlp: 32, lr: 0.01}}"}, "sizes.../4k", "../4k"),
        ({"budgets": "{10/tpp: 10}"}, "budgets.10/tpp", "10/tpp"),
        ({"studies": "{dense: {sizes: [4k], budgets: {../x: 40}}}"}, "studies.dense.budgets.../x", "../x"),
        ({"runs": "[{size: 4k, budget: 10tpp, id: ../../../x}]"}, "runs[0].id", "../../../x"),
        ({"runs": "[{size: 4k, budget: 10tpp, id: /etc/x}]"}, "runs[0].id", "/etc/x"),
        ({"runs": "[{size: 4k, budget: 10tpp, id: ''}]"}, "runs[0].id", "''"),
        ({"runs": "[{size: 4k, budget: 10tpp, id: a b}]"}, "runs[0].id", "a b"),
        ({"partners": "{mlp_multiple: 1, lr: {../4k-p80: 0.5}}"}, "partners.lr.../4k-p80", "../4k-p80"),
        # rules for what there isn't
        ({"partners": "{mlp_multiple: 1, lr: {5k-p80: 0.5}}"}, "partners.lr.5k-p80", "5k-p80"),
        ({"resources": "{workers_by_size: {5k: 2}}"}, "resources.workers_by_size.5k", "5k"),
        ({"repeat": "[{size: 5k, budget: 10tpp, sparsities: [0]}]"}, "repeat[0].size", "5k"),
        ({"repeat": "[{size: 4k, budget: 11tpp, sparsities: [0]}]"}, "repeat[0].budget", "11tpp"),
        # budgets by size
        ({"budgets": "{10tpp: {4k: 10, 5k: 10}}"}, "budgets.10tpp.5k", "5k"),
        ({"budgets": "{10tpp: {4k: 0}}"}, "budgets.10tpp.4k", "0"),
        ({"budgets": "{10tpp: {4k: ten}}"}, "budgets.10tpp.4k", "ten"),
        ({"budgets": "{10tpp: ten}"}, "budgets.10tpp", "ten"),
        ({"budgets": "{10tpp: [10]}"}, "budgets.10tpp", "[10]"),
        ({"budgets": "{10tpp: {13k: 10}}"}, "budgets.10tpp", "13k"),
        ({"budgets": "{10tpp: {}}"}, "budgets.10tpp", "no size"),
        ({"studies": "{dense: {sizes: [4k], budgets: {40tpp: {13k: 40}}}}"}, "studies.dense.budgets.40tpp", "13k"),
        ({"studies": "{dense: {sizes: [4k], budgets: {x: {5k: 40}}}}"}, "studies.dense.budgets.x.5k", "5k"),
        (
            {
                "budgets": "{10tpp: 10, 5tpp: {13k: 5}}",
                "studies": "{lr: {multiples: [1], partner_budget: 5tpp, pairs: {size: 4k, budgets: [10tpp], sparsities: [0.8]}}}",
            },
            "budgets.5tpp",
            "13k",
        ),
        # numbers that would take for ever, or no machine has
        ({"budgets": "{10tpp: 1.0e+300}"}, "studies.law.budgets", "e+"),
        ({"budgets": "{10tpp: .inf}"}, "budgets.10tpp", "inf"),
        ({"budgets": "{10tpp: .nan}"}, "budgets.10tpp", "nan"),
        ({"budgets": "{10tpp: 0}"}, "budgets.10tpp", "0"),
        ({"budgets": "{10tpp: 1.0e-9}"}, "studies.law.dense_steps", "0"),
        ({"optimizer": "{batch: 0}"}, "sizes.13k.batch", "0"),
        ({"optimizer": "{batch: 100000000000}"}, "sizes.13k.batch", "100000000000"),
        ({"optimizer": "{batch: 8.5}"}, "sizes.13k.batch", "8.5"),
        ({"sizes": "{4k: {d_model: 8, mlp: 32, lr: 0}}"}, "sizes.4k.lr", "0"),
        ({"sizes": "{4k: {d_model: 8, mlp: 32, lr: .inf}}"}, "sizes.4k.lr", "inf"),
        ({"sizes": "{4k: {d_model: 8, mlp: -32, lr: 0.01}}"}, "sizes.4k.mlp", "-32"),
        ({"sizes": "{4k: [8, 32]}"}, "sizes.4k", "[8, 32]"),
        ({"model": "[1, 2]"}, "model", "[1, 2]"),
        ({"pruning": "{interval: 0}"}, "pruning.interval", "0"),
        ({"pruning": "{interval: -4}"}, "pruning.interval", "-4"),
        ({"pruning": "{interval: 1000000000000}"}, "pruning.interval", "1000000000000"),
        ({"partners": "{mlp_multiple: 0}"}, "partners.mlp_multiple", "0"),
        ({"storage": "/data"}, "storage", "/data"),
        ({"storage": "{results: 3}"}, "storage.results", "3"),
        ({"storage": "{results: ~}"}, "storage.results", "None"),
        ({"resources": "{lanes: 1000000000}"}, "resources.lanes", "1000000000"),
        ({"evaluation": "{blocks: 1}"}, "evaluation.blocks", "1"),
        ({"runs": "[{size: 4k, budget: 10tpp, seed: -1}]"}, "runs[0].seed", "-1"),
        ({"runs": "[{size: 4k, budget: 10tpp, seed: 9223372036854775808}]"}, "runs[0].seed", "9223372036854775808"),
        ({"runs": "[{size: 4k, budget: 10tpp, sparsity: 0.8, events: 1}]"}, "runs[0].events", "1"),
        ({"runs": "[{size: 4k, budget: 10tpp, sparsity: 0.8, window: {dense: .nan}}]"}, "runs[0].window.dense", "nan"),
        (
            {
                "studies": "{robustness: {size: 4k, budget: 10tpp, sparsities: [0], lr_multiples: [0], batch_multiples: [1]}}"
            },
            "studies.robustness.lr",
            "0",
        ),
        (
            {
                "studies": "{robustness: {size: 4k, budget: 10tpp, sparsities: [0], lr_multiples: [1], batch_multiples: [1.0e+300]}}"
            },
            "studies.robustness.batch_multiples",
            "1e+300",
        ),
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


def test_a_sweep_of_too_many_runs_is_refused_before_they_are_made(sweep_file, monkeypatch):
    seeds, shares = list(range(400)), [i / 400 for i in range(400)]
    for studies, key in (
        (f"{{seeds: {{seeds: {seeds}, configurations: [{{size: 4k, budget: 10tpp}}]}}}}", "studies.seeds"),
        (
            f"{{schedules: {{size: 4k, budgets: [10tpp], dense: {shares}, prune: {shares}, sparsities: [0.8]}}}}",
            "studies.schedules.dense",
        ),
    ):
        monkeypatch.setattr(grid, "RUNS", 300)
        with pytest.raises(UserError, match=r"too many runs|out of range") as error:
            expand(sweep_file(studies=studies))
        assert error.value.key == key
        assert "50,000" in str(error.value.expected) or "300" in str(error.value.expected)


def test_an_id_that_labels_make_too_long_is_refused(sweep_file):
    label = "x" * 120
    file = sweep_file(
        sizes=f"{{{label}: {{d_model: 8, mlp: 32, lr: 0.01}}}}",
        studies=f"{{law: {{sizes: [{label}], budgets: [10tpp], sparsities: [0]}}}}",
    )
    with pytest.raises(UserError, match="not a name"):
        expand(file)


def test_two_specs_with_one_id_are_refused_with_both_named(sweep_file):
    file = sweep_file(
        runs="[{size: 13k, budget: 10tpp, id: same}, {size: 13k, budget: 20tpp, id: same, studies: [law]}]"
    )
    with pytest.raises(UserError, match="two different specs with one id") as error:
        expand(file)
    assert error.value.key == "same"
    assert str(error.value.found).count("(") == 2


def test_a_refused_file_exits_with_code_two_and_says_why_on_stderr(sweep_file):
    file = sweep_file(pruning="{interval: 500}")
    done = subprocess.run(
        [sys.executable, "-m", "sweeps", "expand", str(file)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert all(word in done.stderr for word in (str(file), "pruning.interval", "found:", "expected:"))
