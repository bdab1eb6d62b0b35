"""`python -m cluster render TARGET FILE`: the manifest that runs a sweep on a kind of cluster. No torch, no Ray."""

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
from cluster.numbers import count, hours
from cluster.values import allowed
from cluster.versions import locked
from repro import paths as places
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
# Target -> its template, the options that it needs and those that it takes, beside what all take.
TARGETS: dict[str, tuple[str, set[str], set[str]]] = {
    "kuberay": ("kuberay.yaml.j2", {"image", "storage"}, {"claim", "service_account", "secret", "hf_secret", "memory"}),
    "slurm": ("slurm.sh.j2", set(), {"partition", "account", "memory", "hf_token"}),
    "aws": ("launcher.yaml.j2", {"image", "storage", "region"}, {"instance", "nfs", "hf_token"}),
    "gcp": ("launcher.yaml.j2", {"image", "storage", "zone", "project"}, {"instance", "nfs", "boot_image", "hf_token"}),
    "skypilot": ("skypilot.yaml.j2", {"storage"}, {"hf_token"}),
}
OPTIONS = {
    "image": "container image, built from the Dockerfile",
    "claim": "volume claim, ReadWriteMany, for the corpora, mounted at storage.corpus; without it they lie on the storage",
    "service_account": "of the pods: what may write to the storage",
    "secret": "whose keys become environment variables of the pods: credentials of the storage",
    "hf_secret": "whose key HF_TOKEN is your Hugging Face token, for gated tokenizers and text",
    "partition": "Slurm's",
    "account": "Slurm's",
    "region": "of AWS",
    "zone": "of Google Cloud",
    "project": "of Google Cloud",
    "instance": "machine type of the nodes that train, instead of the one that has these GPUs",
    "boot_image": "disk image of the nodes with GPUs, with their driver",
    "nfs": "HOST:/PATH for the corpora, mounted at storage.corpus; without it they lie on the storage",
}
ABSENT: dict[str, Any] = dict.fromkeys(OPTIONS) | {"hf_token": False}


def add_parser(verbs: Any) -> None:
    """Adds the verb render."""
    parser = verbs.add_parser(
        "render",
        description="Write the manifest for a sweep's plan: nodes, GPUs, image, storage, token authentication on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("file", metavar="FILE", help="sweep YAML")
    parser.add_argument(
        "--cluster", metavar="gpus=N,type=T", help="as `sweeps plan` takes it; none is a cluster of CPUs"
    )
    parser.add_argument("--measured", metavar="FILE", help="measured throughput, for the plan's hours")
    parser.add_argument("--nodes", type=count, metavar="N", help="without GPUs: how many (1)")
    parser.add_argument("--cpus", type=count, metavar="N", help="of a node (8 a GPU, else 4)")
    parser.add_argument(
        "--memory",
        type=count,
        metavar="GB",
        help="of a node (kuberay: 64 a GPU, else 4 a CPU; slurm: the site's default)",
    )
    parser.add_argument("--hours", type=hours, metavar="H", help="at most (half as long again as the plan says)")
    parser.add_argument("--name", help="of the job or the cluster (the sweep's)")
    parser.add_argument("--storage", metavar="URI", help="root of the results folders, instead of the sweep's")
    parser.add_argument(
        "--corpus",
        metavar="PLACE",
        help="root of corpora that are built already, a URI (slurm: or a folder); without it the cluster builds them first, "
        "on all its cores",
    )
    parser.add_argument("--out", metavar="FILE", help="where to write it (standard output); its folder is made")
    parser.add_argument(
        "--hf-token",
        action="store_true",
        help="slurm, aws, gcp, skypilot: give the nodes your Hugging Face token, for gated tokenizers and text; the manifest "
        "holds where it comes from, never the token",
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
    """Where to write, which is no folder and lies in one that can be made."""
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
        deployment: what is to run where.
        options: by name, those of OPTIONS that were given.
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
    """Values reach YAML through `json`, whose every output is YAML, and a shell through `sh` or `command`."""
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
    """The target's own options, each checked."""
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
            if option in needed and option != "storage":  # the sweep may name a storage of its own
                raise UserError(f"{given.target} needs {name}", key=name, expected=OPTIONS[option])
        elif option in OPTIONS:
            if option not in needed | taken:
                raise UserError(f"{given.target} takes no {name}", key=name, found=value)
            found[option] = allowed(option, value)
        elif option == "memory" and option not in taken:
            raise UserError(f"{given.target} takes no {name}", key=name, found=value)
    return found
