"""Text from the command line and from sweep files never becomes shell or YAML: refused, or one quoted word."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from cluster import deployment, render
from cluster.__main__ import main
from cluster.values import PATTERNS, allowed
from repro.errors import UserError
from sweeps.devices import Cluster
from tests.cluster.targets import TARGETS

HOSTILE = (
    "x'; touch CANARY; echo '", 'x"; touch CANARY; "', "$(touch CANARY)", "`touch CANARY`", "${IFS}touch", "a;b", "a|b",
    "a&b", "a>b", "a b", " a", "a ", "a\nb: c", "a\r\nb", "a\n", "a\tb", "a\0b", "{{ 7 * 7 }}", "{% raw %}", "{a: b}",
    "[a]", "&a", "*a", "!!python/object:x", "# a", "a #b", "a: b", "- a", "%a", "@a", "\\", "a\\nb", "~", "~root", "$HOME",
    "..", ".", "../x", "a/../b", "/", "-x", "--flag", "", "é", "\u202ea", "\u2028", "\x1b[2J", "a" * 5000,
)  # fmt: skip
SWEEP = """
name: NAME
corpus: {source: package, name: pydoc, heldout_fraction: 0.1}
model: {vocab: 300, sequence: 32, layers: 1, heads: 1}
optimizer: {batch: 4}
pruning: {interval: 4}
evaluation: {blocks: 4, block_sequences: 2}
sizes: {4k: {d_model: 8, mlp: 32, lr: 1.0e-2}}
budgets: {short: 2}
studies: {law: {sizes: [4k], budgets: [short], sparsities: [0]}}
resources: {device: cpu}
"""


MORE = {
    "image": ("a//b", "a:b:c", "reg/../x", "a..b", "a/B", "a@sha256:0", "a/-b", "https://a/b"),
    "results": ("key:password@bucket", "a?x=y", "a#b", "//a", "a//b", "./a"),
    "nfs": ("a:/../b", "a:b", ":/x", "a:/b c", "a:/b:ro", "-o x:/a"),
    "secret": ("a..b", "A", "a_b"),
    "volume_claim": ("a..b", "a."),
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (deployment, render):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("option", PATTERNS)
def test_no_pattern_takes_hostile_text(option: str) -> None:
    for text in (*HOSTILE, *MORE.get(option, ())):
        values = [f"s3://bucket/{text}" if text != "/" else "s3:///"] if option == "results" and text else [text]
        for value in values:
            with pytest.raises(UserError, match="isn't allowed in a manifest"):
                allowed(option, value)


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_command_line_says_is_held_to_its_pattern(
    checkout: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "tiny.yaml").write_text(SWEEP.replace("NAME", "tiny"))
    _, needed, taken = render.TARGETS[target]
    for option in (*sorted((needed | taken) & set(render.OPTIONS)), "name", "results", "corpus"):
        name = f"--{option.replace('_', '-')}"
        for text in (HOSTILE[0], "a\nb: c", "{{ 7 * 7 }}"):
            value = f"s3://bucket/{text}" if option in ("results", "corpus") else text
            assert main(["render", target, "tiny.yaml", *TARGETS[target], "--hours", "1", f"{name}={value}"]) == 2
            out, err = capsys.readouterr()
            assert out == ""
            assert name in err, (option, text)
    assert not (checkout / "CANARY").exists()


@pytest.mark.parametrize("target", ["kuberay", "slurm"])  # the others take the same ways
def test_what_a_sweep_file_says_is_refused_or_one_word(
    checkout: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base = yaml.safe_load(SWEEP.replace("NAME", "tiny"))
    file, accepted = checkout / "tiny.yaml", 0
    for text in HOSTILE[::6]:
        for changed in ({"name": text}, {"storage": {"corpus": text}}, {"storage": {"results": text}}):
            file.write_text(yaml.safe_dump(base | changed, allow_unicode=True))
            more = () if target == "slurm" else (*TARGETS[target], "--volume-claim", "texts")
            code = main(["render", target, "tiny.yaml", *more, "--hours", "1"])
            out, err = capsys.readouterr()
            if code == 0:
                accepted += 1
                assert target == "slurm" or "results" in changed.get("storage", {}), changed
                assert _is_sound(out, text), (changed, out)
            else:
                assert code == 2
                assert "Traceback" not in err
    assert accepted


def _is_sound(manifest: str, text: str) -> bool:
    """Whether what is run, and where, is what a harmless text would have it be, but for the text in whole words."""
    script = yaml.safe_load(manifest)["spec"]["entrypoint"] if manifest.startswith("# Sweep") else manifest
    [line] = [line for line in script.splitlines() if "-m sweeps run" in line]
    words = [word for word in shlex.split(line) if text in word or word in ("python", "-m", "sweeps")]
    return subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0 and len(words) <= 5


@pytest.mark.parametrize(
    "words",
    [("--nodes", "0"), ("--nodes", "-1"), ("--nodes", "1.5"), ("--nodes", "9" * 40),
     ("--cpus", "0"), ("--cpus", "nan"), ("--memory", "0"), ("--memory", "64GB"), ("--memory", "9999999"), ("--hours", "0"),
     ("--hours", "-2"), ("--hours", "nan"), ("--hours", "inf"), ("--hours", "1e9"), ("--hours", "two"), ("--nodes", "")],
)  # fmt: skip
def test_a_number_out_of_bounds_is_refused(
    checkout: Path, words: tuple[str, str], capsys: pytest.CaptureFixture
) -> None:
    (checkout / "tiny.yaml").write_text(SWEEP.replace("NAME", "tiny"))
    with pytest.raises(SystemExit) as stopped:
        main(["render", "slurm", "tiny.yaml", "--hours", "1", *words])
    assert stopped.value.code == 2
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["gpus=0,type=h100", "gpus=-1,type=h100", "gpus=8", "type=h100", "gpus=8,type=", "gpus=8,gpus=8,type=h100",
     "gpus=8,type=h100,racks=2", "gpus=1e400,type=h100", "gpus=nan,type=h100", "gpus=8.5,type=h100", "gpus=9999999999999,type=h100",
     "gpus=8,type=h100,per_node=0", "gpus=8,type=h100,per_node=3", "gpus=8,type=h100,per_node=-8", "gpus=8,type=h100,memory=0",
     "gpus=8,type=h100,memory=nan", "gpus=8,type=h100,max_workers=9", "gpus=8,type=h100,", "", "8", "gpus=8;type=h100"],
)  # fmt: skip
def test_a_cluster_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--cluster|gpus|per_node|memory|max_workers"):
        Cluster.parse(text)


@pytest.mark.parametrize("place", ["no/such/folder/job.sbatch", "~/jobs/job.sbatch", "$HOME/more jobs/job.sbatch"])
def test_the_folder_of_a_manifest_is_made(checkout: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "tiny.yaml").write_text(SWEEP.replace("NAME", "tiny"))
    assert main(["render", "slurm", "tiny.yaml", "--hours", "1", "--manifest", place]) == 0
    assert (checkout / place.replace("~", ".").replace("$HOME", ".")).read_text().startswith("#!/bin/bash\n")
    assert not (checkout / "~").exists()


@pytest.mark.parametrize(
    "place", ["folder", "folder/", "file/job.sbatch", "/proc/job.sbatch", "$NO_SUCH/job.sbatch", "", "a\0b"]
)
def test_a_place_that_cannot_be_written_is_said(checkout: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "tiny.yaml").write_text(SWEEP.replace("NAME", "tiny"))
    (checkout / "folder").mkdir()
    (checkout / "file").write_text("kept")
    assert main(["render", "slurm", "tiny.yaml", "--hours", "1", "--manifest", place]) == 2
    assert "--manifest" in capsys.readouterr().err
    assert (checkout / "file").read_text() == "kept"


def test_a_home_of_this_machine_is_the_slurm_nodes_and_no_other_ones(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = checkout / "tiny.yaml"
    file.write_text(SWEEP.replace("NAME", "tiny") + "storage: {corpus: ~/texts, results: $HOME/results}\n")
    assert main(["render", "slurm", "tiny.yaml", "--hours", "1"]) == 0
    out, _ = capsys.readouterr()
    assert f"--results {checkout}/results --corpus {checkout}/texts" in out
    for target, words in TARGETS.items():
        if target != "slurm":
            more = [word for word in words if word not in ("--results", "s3://bucket/results")]
            assert main(["render", target, "tiny.yaml", *more, "--hours", "1"]) == 2
            assert "storage.results" in capsys.readouterr().err
    for target, volume in (("kuberay", "--volume-claim=texts"), ("aws", "--nfs=10.0.0.2:/texts")):
        assert main(["render", target, "tiny.yaml", *TARGETS[target], "--hours", "1", volume]) == 2
        assert "storage.corpus" in capsys.readouterr().err


@pytest.mark.parametrize("corpus", [".", "/", "/app", "/etc/x", "..", "a/../..", "/dev/shm", "data:ro", "da ta"])
def test_a_volume_hides_neither_the_checkout_nor_the_system(
    checkout: Path, corpus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "tiny.yaml").write_text(SWEEP.replace("NAME", "tiny") + f"storage: {{corpus: '{corpus}'}}\n")
    assert main(["render", "kuberay", "tiny.yaml", *TARGETS["kuberay"], "--hours", "1", "--volume-claim", "texts"]) == 2
    assert "storage.corpus" in capsys.readouterr().err
