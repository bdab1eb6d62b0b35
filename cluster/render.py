"""`python -m cluster render TARGET FILE`: the manifest that runs a sweep on a type of cluster. No torch, no Ray."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import jinja2

from cluster import machines
from cluster.deployment import HOME, ROOT, Deployment, deployment
from cluster.values import allowed
from cluster.versions import locked
from repro import paths as places
from repro.console.options import real, whole
from repro.errors import UserError
from sweeps.devices import Cluster
from sweeps.grid import expand

EXAMPLES = """\
examples:
  python -m cluster render slurm sweeps/paper.yaml --cluster gpus=64,type=h100,per_node=8 --out paper.sbatch
  python -m cluster render slurm sweeps/laptop.yaml --cpus 16 --hours 2
  python -m cluster render kuberay sweeps/paper.yaml --cluster gpus=64,type=h100 --image registry.example.org/sparse:1 \\
      --storage s3://bucket/results --claim corpora
  python -m cluster render aws sweeps/paper.yaml --cluster gpus=64,type=h100 --image registry.example.org/sparse:1 \\
      --storage s3://bucket/results --region us-east-1 --nfs fs-0123.efs.us-east-1.amazonaws.com:/
  python -m cluster render skypilot sweeps/paper.yaml --cluster gpus=8,type=a100 --storage gs://bucket/results
"""
# Target -> its template, its required options and its optional ones, besides those of all targets.
TARGETS: dict[str, tuple[str, set[str], set[str]]] = {
    "kuberay": ("kuberay.yaml.j2", {"image", "storage"}, {"claim", "service_account", "secret", "hf_secret", "memory"}),
    "slurm": ("slurm.sh.j2", set(), {"partition", "account", "memory", "hf_token"}),
    "aws": ("launcher.yaml.j2", {"image", "storage", "region"}, {"instance", "nfs", "hf_token"}),
    "gcp": ("launcher.yaml.j2", {"image", "storage", "zone", "project"}, {"instance", "nfs", "boot_image", "hf_token"}),
    "skypilot": ("skypilot.yaml.j2", {"storage"}, {"hf_token"}),
}
OPTIONS = {
    "image": "container image, built from the Dockerfile",
    "claim": "ReadWriteMany volume claim for the corpora, mounted at storage.corpus; without it they are kept in the storage",
    "service_account": "service account of the pods, with write access to the storage",
    "secret": "Secret whose keys become environment variables of the pods: the storage's credentials",
    "hf_secret": "Secret whose key HF_TOKEN is your Hugging Face token, for gated tokenizers and text",
    "partition": "Slurm partition",
    "account": "Slurm account",
    "region": "AWS region",
    "zone": "Google Cloud zone",
    "project": "Google Cloud project",
    "instance": "machine type of the training nodes; overrides the one with these GPUs",
    "boot_image": "disk image of the GPU nodes, including the GPU driver",
    "nfs": "HOST:/PATH for the corpora, mounted at storage.corpus; without it they are kept in the storage",
}
MOST, HOURS = 1_000_000, 10_000  # nodes, cores per node, GB per node; hours of wall clock
ABSENT: dict[str, Any] = dict.fromkeys(OPTIONS) | {"hf_token": False}


def add_parser(verbs: Any) -> None:
    """Adds the verb render."""
    count, hours = (
        whole(1, MOST),
        real(f"a number of hours, more than 0 and at most {HOURS:,}", 0, HOURS, open_below=True),
    )
    parser = verbs.add_parser(
        "render",
        description="Write the manifest for a sweep's plan: nodes, GPUs, image, storage, token authentication on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("file", metavar="FILE", help="sweep YAML")
    parser.add_argument(
        "--cluster", metavar="gpus=N,type=T", help="in the format of `sweeps plan`; omit it for a CPU cluster"
    )
    parser.add_argument(
        "--measured", metavar="FILE", help="measured throughput, for the plan's hours and the runs' workers"
    )
    parser.add_argument("--nodes", type=count, metavar="N", help="number of nodes of a CPU cluster (1)")
    parser.add_argument("--cpus", type=count, metavar="N", help="CPUs per node (8 per GPU, else 4)")
    parser.add_argument(
        "--memory",
        type=count,
        metavar="GB",
        help="memory per node (kuberay: 64 per GPU, else 4 per CPU; slurm: the site's default)",
    )
    parser.add_argument("--hours", type=hours, metavar="H", help="wall-clock limit (1.5 times the plan's makespan)")
    parser.add_argument("--name", help="name of the job or cluster (the sweep's)")
    parser.add_argument("--storage", metavar="URI", help="root of the results folders; overrides the sweep's")
    parser.add_argument(
        "--corpus",
        metavar="PLACE",
        help="root of existing corpora, a URI (slurm: or a folder); without it the cluster builds them first, on all its "
        "cores",
    )
    parser.add_argument("--out", metavar="FILE", help="output file (standard output); its folder is created")
    parser.add_argument(
        "--hf-token",
        action="store_true",
        help="slurm, aws, gcp, skypilot: pass your Hugging Face token to the nodes, for gated tokenizers and text; the "
        "manifest holds a reference to it, never the token",
    )
    for option, text in OPTIONS.items():
        takers = [name for name, (_, needed, taken) in TARGETS.items() if option in needed | taken]
        parser.add_argument(f"--{option.replace('_', '-')}", metavar="X", help=f"{', '.join(takers)}: {text}")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Renders and writes. Returns the exit code."""
    options = _options(given)
    out = None if given.out is None else _out(given.out)
    sweep = expand(given.file)
    found = deployment(
        sweep,
        devices=Cluster.parse(given.cluster) if given.cluster else None,
        measured=given.measured,
        name=given.name,
        storage=given.storage,
        corpora=given.corpus,
        volume=bool(options.get("claim") or options.get("nfs")),
        nodes=given.nodes,
        cpus=given.cpus,
        memory=given.memory,
        hours=given.hours,
        shared_disk=given.target == "slurm",
    )
    text = render(given.target, found, options)
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if out is None:
        print(text, end="")
    else:
        from repro.store.folder import Folder

        Folder.open(out.parent).write(out.name, text.encode())
        print(f"{out}: {found.nodes} nodes, {found.gpus} GPUs each, at most {found.hours} h")
    return 0


def _out(place: str) -> Path:
    """The output file; it must not be a folder, and its folder must be writable."""
    out = Path(places.expand(place, key="--out"))
    if out.is_dir() or place.endswith("/"):
        raise UserError("a folder where a file is wanted", key="--out", found=place, expected="the name of a file")
    from repro.store.folder import Folder

    Folder.open(out.parent).check_writable(key="--out")
    return out


def render(target: str, deployment: Deployment, options: dict[str, Any]) -> str:
    """The manifest of a target.

    Args:
        target: a name of TARGETS.
        deployment: the sweep and its cluster.
        options: the given OPTIONS, by name.
    """
    template, _, _ = TARGETS[target]
    more: dict[str, Any] = {}
    if target in ("aws", "gcp"):
        more["head_machine"] = machines.HEAD[target]
        more["machine"] = options.get("instance") or machines.machine(target, deployment.gpu, deployment.gpus)
    if target == "skypilot" and deployment.gpu:
        more["accelerator"] = machines.accelerator(deployment.gpu)
    return (
        _templates()
        .get_template(template)
        .render(
            d=deployment,
            target=target,
            home=str(HOME),
            root=str(ROOT),
            ray=locked()["ray"],
            **(ABSENT | options | more),
        )
    )


def _templates() -> jinja2.Environment:
    """Templates escape values with `json` in YAML (JSON is valid YAML), and with `sh` or `command` in shells."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    made.filters |= {"json": json.dumps, "sh": shlex.quote, "command": shlex.join}
    return made


def _options(given: argparse.Namespace) -> dict[str, Any]:
    """The target's own options, validated."""
    _, needed, taken = TARGETS[given.target]
    found: dict[str, Any] = {}
    if given.hf_token:
        if "hf_token" not in taken:
            raise UserError(f"{given.target} takes no --hf-token", key="--hf-token", expected="--hf-secret NAME")
        found["hf_token"] = True
    if given.name is not None:
        allowed("name", given.name)
    for key, uri in (("--storage", given.storage), ("--corpus", given.corpus)):
        if uri is not None and "://" in uri:
            allowed("storage", places.expand(uri, key=key), key=key)
    for option in (*OPTIONS, "storage", "memory"):
        value, name = getattr(given, option), f"--{option.replace('_', '-')}"
        if value is None:
            if option in needed and option != "storage":  # the sweep file may set one
                raise UserError(f"{given.target} needs {name}", key=name, expected=OPTIONS[option])
        elif option in OPTIONS:
            if option not in needed | taken:
                raise UserError(f"{given.target} takes no {name}", key=name, found=value)
            found[option] = allowed(option, value)
        elif option == "memory" and option not in taken:
            raise UserError(f"{given.target} takes no {name}", key=name, found=value)
    return found
