"""Manifests: they say what the plan says, hold to the schemas of those who read them, and carry no text that was smuggled in."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private import util

from cluster.__main__ import main
from cluster.deployment import MARGIN
from sweeps.devices import Cluster
from sweeps.forecast import forecast
from sweeps.grid import expand
from tests.cluster.targets import BUCKET, IMAGE, TARGETS
from tests.sweeps.tiny import SWEEP

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAPER, PAIRS = "sweeps/paper.yaml", "sweeps/pairs-1b.yaml"
GPUS = ("--cluster", "gpus=64,type=h100,per_node=8")
KUBERAY = ROOT.parent / "shared" / "data" / "kuberay" / "rayjob.v1.schema.json"

Rendered = Callable[..., str]


@pytest.fixture
def rendered(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Rendered:
    """What `cluster render` prints."""
    monkeypatch.chdir(ROOT)

    def render(target: str, *words: str, file: str = PAPER) -> str:
        assert main(["render", target, file, *TARGETS[target], *words]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return render


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Rendered:
    """What `cluster render` says when it refuses."""
    monkeypatch.chdir(ROOT)

    def read(target: str, *words: str, file: str = PAIRS) -> str:
        assert main(["render", target, file, *words]) == 2
        found = capsys.readouterr()
        assert found.out == ""
        return found.err

    return read


def cpu_sweep(tmp_path: Path) -> str:
    file = tmp_path / "tiny.yaml"
    file.write_text(SWEEP.format(root=tmp_path, ratio=2, workers=1))
    return str(file)


def open_objects(schema: Any) -> Any:
    """The schema with every object closed: what Kubernetes would silently drop is then an error."""
    if isinstance(schema, dict):
        made = {key: open_objects(value) for key, value in schema.items()}
        if made.get("type") == "object" and "properties" in made and "additionalProperties" not in made:
            made["additionalProperties"] = False
        return made
    return [open_objects(item) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.skipif(not KUBERAY.exists(), reason="KubeRay's RayJob schema isn't beside the checkout")
@pytest.mark.parametrize(
    "more",
    [
        pytest.param((), marks=pytest.mark.full),
        ("--volume-claim", "corpora", "--secret", "keys", "--service-account", "trainer"),
    ],
)
def test_the_rayjob_holds_to_kuberays_schema(rendered: Rendered, more: tuple[str, ...]) -> None:
    schema = open_objects(json.loads(KUBERAY.read_text()))
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}  # Kubernetes' own
    made = yaml.safe_load(rendered("kuberay", *GPUS, *more))
    jsonschema.validate(made, schema)
    made["spec"]["rayClusterSpec"]["workerGroupSpec"] = []  # a slip of the pen
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made, schema)


def test_the_rayjob_says_what_the_plan_says(rendered: Rendered) -> None:
    job = yaml.safe_load(rendered("kuberay", *GPUS))
    assert (job["apiVersion"], job["kind"], job["metadata"]["name"]) == ("ray.io/v1", "RayJob", "paper")
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert shlex.split(spec["entrypoint"])[:2] == ["bash", "-c"]
    planned = forecast(expand(ROOT / PAPER), Cluster.parse(GPUS[1])).makespan_hours
    assert 0 <= spec["activeDeadlineSeconds"] - MARGIN * planned * 3600 < 3600
    assert spec["backoffLimit"] == 3
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["rayVersion"] in (ROOT / "requirements.lock").read_text()
    [workers] = cluster["workerGroupSpecs"]
    assert (workers["replicas"], workers["minReplicas"], workers["maxReplicas"]) == (8, 8, 8)
    [container] = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": 64, "memory": "512G", "nvidia.com/gpu": 8}
    assert "env" not in container  # Kubernetes' device plugin says which GPUs it sees
    head = cluster["headGroupSpec"]
    assert (head["serviceType"], head["enableIngress"]) == ("ClusterIP", False)
    [container] = head["template"]["spec"]["containers"]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    assert {"name": "RAY_ADDRESS", "value": "127.0.0.1:6379"} in container["env"]
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container["env"]  # the image says all
    for pod in (head["template"]["spec"], workers["template"]["spec"]):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["containers"][0]["image"] == IMAGE[1]
        assert "initContainers" not in pod


def test_with_a_claim_the_pods_share_one_corpus(rendered: Rendered) -> None:
    job = yaml.safe_load(rendered("kuberay", *GPUS, "--volume-claim", "corpora"))
    pod = job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]
    assert {"name": "corpora", "persistentVolumeClaim": {"claimName": "corpora"}} in pod["volumes"]
    assert {"name": "corpora", "mountPath": "/app/data"} in pod["containers"][0]["volumeMounts"]


@pytest.mark.parametrize(("cloud", "machine"), [("aws", "p5.48xlarge"), ("gcp", "a3-highgpu-8g")])
@pytest.mark.parametrize("more", [pytest.param((), marks=pytest.mark.full), ("--nfs", "10.0.0.2:/share")])
def test_the_cloud_files_pass_rays_own_validation(rendered: Rendered, cloud: str, machine: str, more: tuple) -> None:
    made = yaml.safe_load(rendered(cloud, *GPUS, *more))
    util.validate_config(util.prepare_config(dict(made)))
    schema = json.loads((Path(util.ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(made, schema)
    node = made["available_node_types"]["node"]
    assert (node["min_workers"], node["max_workers"], made["max_workers"]) == (8, 8, 8)
    assert node["resources"] == {"GPU": 8}
    assert machine in node["node_config"].values()
    assert made["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    for commands in (made["head_start_ray_commands"], made["worker_start_ray_commands"]):
        assert commands[-1].startswith("RAY_AUTH_MODE=token ray start ")
    assert "--dashboard-host=127.0.0.1" in made["head_start_ray_commands"][-1]
    assert made["setup_commands"] == []


def test_the_skypilot_task(rendered: Rendered) -> None:
    task = yaml.safe_load(rendered("skypilot", *GPUS))
    assert task["num_nodes"] == 8
    assert task["resources"]["accelerators"] == "H100:8"
    assert task["envs"]["RAY_AUTH_MODE"] == "token"
    assert task["secrets"] == {"RAY_AUTH_TOKEN": None}
    assert "ray stop" not in task["run"]
    for script in (task["run"], task["setup"]):
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        GPUS,
        pytest.param(("--cluster", "gpus=8,type=a100"), marks=pytest.mark.full),
        pytest.param(("--cluster", "gpus=1,type=l4"), marks=pytest.mark.full),
    ],
)
def test_the_slurm_script(rendered: Rendered, tmp_path: Path, words: tuple[str, ...]) -> None:
    cluster = Cluster.parse(words[1])
    file = tmp_path / "paper.yaml"
    file.write_text((ROOT / PAPER).read_text().replace("workers: 8", f"workers: {cluster.node}"))
    script = rendered("slurm", *words, "--partition", "gpu", "--account", "lab", file=str(file))
    asked = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2] for line in script.splitlines() if line[:7] == "#SBATCH"
    )
    assert asked["nodes"] == str(cluster.gpus // cluster.node)
    assert asked["gpus-per-node"] == str(cluster.node)
    assert (asked["partition"], asked["account"], asked["signal"]) == ("gpu", "lab", "B:TERM@120")
    assert "requeue" in asked
    assert "RAY_AUTH_MODE=token" in script
    assert "umask 077" in script
    assert "--dashboard-host=127.0.0.1" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("target", "words", "said"),
    [
        ("kuberay", (*GPUS, *IMAGE), "lost with the node"),
        ("kuberay", (*GPUS, *IMAGE, "--results", "/mnt/results"), "lost with the node"),
        ("aws", (*GPUS, *IMAGE, *BUCKET), "aws needs --region"),
        ("kuberay", (*GPUS, *BUCKET), "kuberay needs --image"),
        ("slurm", (*GPUS, *IMAGE), "slurm takes no --image"),
        ("skypilot", (*GPUS, *BUCKET, *IMAGE), "skypilot takes no --image"),
        ("skypilot", (*GPUS, *BUCKET, "--memory", "64"), "skypilot takes no --memory"),
        ("slurm", (), "a sweep that needs GPUs"),
        ("slurm", ("--cluster", "gpus=4,type=h100"), "needs more GPUs"),
        ("kuberay", (*TARGETS["kuberay"], "--hf-token"), "--hf-secret"),
        ("slurm", ("--hf-secret", "x"), "slurm takes no --hf-secret"),
        ("kuberay", (*TARGETS["kuberay"], *GPUS, "--volume-claim", "c", "--corpus", "s3://b/c"), "a volume for the corpora"),
        ("aws", (*TARGETS["aws"], *GPUS, "--corpus", "/mnt/corpora"), "which the nodes don't see"),
        ("aws", (*TARGETS["aws"], *GPUS, "--results", "~/results"), "lost with the node"),
        ("slurm", (*GPUS, "--nodes", "2"), "nodes are given twice"),
        ("slurm", ("--cluster", "gpus=64,type=b300"), "no such device"),
        ("aws", (*TARGETS["aws"], "--cluster", "gpus=12,type=h100,per_node=3"), "no machine of aws"),
        ("skypilot", (*BUCKET, "--cluster", "gpus=8,type=4090"), "SkyPilot rents no such GPU"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(refused: Rendered, target: str, words: tuple[str, ...], said: str) -> None:
    assert said in refused(target, *words)


def test_a_cpu_sweep_asks_for_cpus_and_its_hours(rendered: Rendered, refused: Rendered, tmp_path: Path) -> None:
    file = cpu_sweep(tmp_path)
    assert "--hours" in refused("slurm", file=file)
    assert "every GPU idle" in refused("slurm", *GPUS, file=file)
    assert "checkout alone" in refused("kuberay", *TARGETS["kuberay"], "--hours", "1", file=file)
    script = rendered("slurm", "--nodes", "3", "--cpus", "16", "--hours", "1.5", "--memory", "60", file=file)
    for line in ("--nodes=3", "--cpus-per-task=16", "--time=2:00:00", "--mem=60G"):
        assert f"#SBATCH {line}\n" in script
    assert "gpus-per-node" not in script


def test_rendering_needs_neither_torch_nor_ray(tmp_path: Path) -> None:
    for absent in ("torch", "ray", "deepspeed", "transformers"):
        (tmp_path / f"{absent}.py").write_text(f"raise ImportError('{absent} is not here')\n")
    done = subprocess.run(
        [sys.executable, "-m", "cluster", "render", "slurm", PAPER, *GPUS],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("#!/bin/bash\n")
