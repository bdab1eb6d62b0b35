"""Every command that a manifest holds or a submission sends: run through the shells that it meets, and held to the parser
of whoever it calls. Its corpus step is run for real.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import deployment, render, submit
from cluster.__main__ import main
from cluster.pack import Packed
from repro.__main__ import main as repro_main
from repro.corpus.build import folder_of
from sweeps.grid import expand
from tests.cluster import shells
from tests.cluster.shells import Call
from tests.cluster.targets import TARGETS

SWEEP = """
name: tiny
corpus: {source: files, name: tales, paths: [PLACE/*.txt], heldout_fraction: 0.2}
model: {vocab: 300, sequence: 32, layers: 1, heads: 1}
optimizer: {batch: 4}
pruning: {interval: 4}
repeat: true
evaluation: {blocks: 2, block_sequences: 1}
sizes: {4k: {d_model: 8, mlp: 32, lr: 1.0e-2}}
budgets: {short: 1}
studies: {law: {sizes: [4k], budgets: [short], sparsities: [0]}}
resources: {RESOURCES}
storage: {corpus: CORPORA, results: PLACE/results}
"""
TOKEN = "hf_a-token-that-stays-where-it-is"
GPUS = ("--cluster", "gpus=16,type=h100,per_node=8")
SLURM = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "one"}
SKYPILOT = {"SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NUM_NODES": "2"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the checkout, whose name no shell likes, with the text of a sweep in it."""
    place = tmp_path / 'it\'s $HOME `id` "there" {{ 7 }}; #x'
    place.mkdir()
    for i in range(8):
        (place / f"{i}.txt").write_text("\n".join(f"Once {i} foxes ran {j} miles over the hill." for j in range(99)))
    for module in (deployment, render):
        monkeypatch.setattr(module, "ROOT", place)
    return place


@pytest.fixture
def rendered(checkout: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def write(target: str, *words: str, resources: str = "device: cpu", corpus: str = "corpora") -> str:
        file = checkout / "tiny.yaml"
        declared = SWEEP.replace("RESOURCES", resources).replace("CORPORA", corpus)
        if target != "slurm":
            declared = declared.replace(
                "source: files, name: tales, paths: [PLACE/*.txt]", "source: package, name: pydoc"
            )
        file.write_text(declared.replace("PLACE", str(checkout) if target == "slurm" else "x").replace("'", "''"))
        if target == "slurm":  # a path with such characters is quoted in YAML
            file.write_text(yaml.safe_dump(yaml.safe_load(declared) | _places(checkout)))
        hours = () if "--cluster" in words else ("--hours", "1")
        code = main(["render", target, str(file), *TARGETS[target], *hours, *words])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return write


def _places(checkout: Path) -> dict[str, Any]:
    text = {"source": "files", "name": "tales", "paths": [f"{checkout}/*.txt"], "heldout_fraction": 0.2}
    return {"corpus": text, "storage": {"corpus": str(checkout / "corpora"), "results": str(checkout / "results")}}


def calls_of(target: str, manifest: str, root: Path, **environment: str) -> list[Call]:
    """The calls that the nodes make, in the order in which they are started."""
    if target == "slurm":
        return shells.run(manifest, root, SLURM | environment)
    made = yaml.safe_load(manifest)
    if target == "kuberay":
        return shells.through_kuberay(made["spec"]["entrypoint"], root)
    if target == "skypilot":
        setup = made["setup"].replace(".venv/bin/python", "python")
        nodes = [shells.run(made["run"], root, SKYPILOT | {"SKYPILOT_NODE_RANK": rank} | environment) for rank in "01"]
        return [*shells.run(setup, root), *nodes[0], *nodes[1]]
    [line] = [line for line in manifest.splitlines() if line.startswith("#   ray exec ")]
    said = shlex.split(line[1:])
    driver = shells.run(said[3].replace("cd /app", "cd ."), root, environment)
    started = [shells.run("\n".join(made[f"{kind}_start_ray_commands"]), root, {"RAY_HEAD_IP": "10.0.0.1"})
               for kind in ("head", "worker")]  # fmt: skip
    return [Call(said, None, ""), *started[0], *started[1], *driver]


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("more", [(), (*GPUS, "--corpus", "s3://bucket/texts")])
def test_every_command_is_one_that_its_parser_takes(
    rendered: Callable[..., str], checkout: Path, target: str, more: tuple[str, ...]
) -> None:
    speeds = checkout / "speeds.json"
    speeds.write_text('{"tokens_per_second": {"h100": {"4k": 1000.0}}}')
    measured = ["--measured", str(speeds)] if more else []
    manifest = rendered(target, *more, *measured, resources="device: auto")
    calls = calls_of(target, manifest, checkout)
    shells.check(calls)
    said = shells.modules(calls)
    steps = [(module, words) for module, words in said if module in ("repro", "sweeps")]
    trained = shells.parsed(*steps[-1])
    assert isinstance(trained, argparse.Namespace)
    assert trained.verb == "run"
    assert Path(checkout / trained.file).name == "tiny.yaml"
    if more:
        assert [module for module, _ in steps] == ["sweeps"]
        assert trained.corpus == "s3://bucket/texts"
        assert checkout / trained.measured == speeds
        return
    built = shells.parsed(*steps[0])
    assert isinstance(built, argparse.Namespace)
    assert [module for module, _ in steps] == ["repro", "sweeps"]
    assert (built.kind, built.file, built.corpus) == ("build", trained.file, trained.corpus)
    assert built.address
    assert built.workers is None  # all cores of the cluster
    if target == "slurm":
        assert trained.corpus == str(checkout / "corpora")
    else:
        assert trained.corpus == "s3://bucket/results/corpora"


@pytest.mark.parametrize(("target", "word"), [("kuberay", "--volume-claim=corpora"), ("aws", "--nfs=10.0.0.2:/share")])
def test_on_a_volume_the_corpora_lie_where_it_is_mounted(
    rendered: Callable[..., str], checkout: Path, target: str, word: str
) -> None:
    manifest = rendered(target, word, corpus="corpora/of-all")
    assert "/app/corpora/of-all" in manifest.replace("--corpus", "", 1)
    steps = [words for module, words in shells.modules(calls_of(target, manifest, checkout)) if module != "cluster"]
    assert [words[words.index("--corpus") + 1] for words in steps] == ["/app/corpora/of-all"] * 2


def test_the_corpus_step_builds_what_the_runs_then_open(rendered: Callable[..., str], checkout: Path) -> None:
    calls = calls_of("slurm", rendered("slurm"), checkout)
    (_, build), (_, run) = [(m, words) for m, words in shells.modules(calls) if m in ("repro", "sweeps")]
    at = build.index("--address")
    assert build[at + 1] == "127.0.0.1:20014"
    assert repro_main(build[:at]) == 0  # the same step in this process instead of on a cluster
    [planned] = expand(run[1]).runs
    spec = planned.spec
    folder = folder_of(spec.corpus, spec.model.vocab, spec.model.sequence, run[run.index("--corpus") + 1])
    assert (folder / "manifest.json").exists()
    assert not list(Path("/tmp").glob("ray-7-*"))
    assert not list((checkout / "results").iterdir())


def test_the_hugging_face_token_reaches_the_steps_and_no_manifest(
    rendered: Callable[..., str], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    manifests = {target: rendered(target, "--hf-token") for target in TARGETS if target != "kuberay"}
    manifests["kuberay"] = rendered("kuberay", "--hf-secret", "hub")
    assert not [target for target, text in manifests.items() if TOKEN in text]
    for target in ("slurm", "skypilot"):
        calls = calls_of(target, manifests[target], checkout, HF_TOKEN=TOKEN)
        steps = [call for call in calls if call.words[:3] in (["python", "-m", "repro"], ["python", "-m", "sweeps"])]
        nodes = [call for call in calls if call.words[:2] == ["ray", "start"]]
        assert {call.token for call in steps + nodes} == {TOKEN}
    assert "#SBATCH --export=ALL\n" in manifests["slurm"]
    assert yaml.safe_load(manifests["skypilot"])["secrets"] == {"RAY_AUTH_TOKEN": None, "HF_TOKEN": None}
    shells.run(manifests["slurm"], checkout, SLURM, code=1)  # without one it says so before it starts anything
    assert not (checkout / "calls").exists()
    for cloud in ("aws", "gcp"):
        mounts = yaml.safe_load(manifests[cloud])["file_mounts"]
        assert mounts["~/.cache/huggingface/token"] == "~/.cache/huggingface/token"
    cluster = yaml.safe_load(manifests["kuberay"])["spec"]["rayClusterSpec"]
    for pod in (cluster["headGroupSpec"], cluster["workerGroupSpecs"][0]):
        [container] = pod["template"]["spec"]["containers"]
        assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "HF_TOKEN"}}} in container[
            "env"
        ]


@pytest.mark.parametrize("corpus", [None, "s3://bucket/texts"])
def test_what_is_submitted_is_taken_too(checkout: Path, corpus: str | None) -> None:
    file = checkout / "tiny.yaml"
    declared = yaml.safe_load(SWEEP.replace("RESOURCES", "device: cpu")) | _places(checkout)
    file.write_text(yaml.safe_dump(declared | {"storage": {"corpus": "/nfs/texts; id"}}))
    sweep = expand(file)
    place, built = submit.corpora_of(sweep, corpus, "/nfs/it's here")
    packed = Packed("submitted/a b.yaml", "submitted/measured/a b.yaml", [])
    entrypoint = submit.entrypoint(sweep, packed, "/nfs/it's here", place, built)
    calls = shells.run(entrypoint, checkout, {"RAY_ADDRESS": "10.0.0.1:6379"})
    shells.check(calls)
    said = shells.modules(calls)
    assert [module for module, _ in said] == ["cluster.versions", *([] if built else ["repro"]), "sweeps"]
    trained = shells.parsed(*said[-1])
    assert isinstance(trained, argparse.Namespace)
    assert (trained.file, trained.results) == ("submitted/a b.yaml", "/nfs/it's here")
    assert (trained.corpus, trained.measured) == (corpus or "/nfs/texts; id", packed.measured)
    if not built:
        step = shells.parsed(*said[1])
        assert isinstance(step, argparse.Namespace)
        assert (step.corpus, step.address) == (trained.corpus, "10.0.0.1:6379")


def test_a_sweep_of_several_vocabularies_leaves_the_text_to_the_runs(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = checkout / "two.yaml"
    declared = yaml.safe_load(SWEEP.replace("RESOURCES", "device: cpu")) | _places(checkout)
    declared["sizes"]["4k"]["vocab"] = declared["model"].pop("vocab")
    file.write_text(yaml.safe_dump(declared))
    assert main(["render", "slurm", str(file), "--hours", "1"]) == 0
    out, err = capsys.readouterr()
    assert "corpus build" not in out
    assert "in one process" in err
