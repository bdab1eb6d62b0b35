"""`python -m cluster render TARGET FILE`: the manifest that runs a sweep on a type of cluster. No torch, no Ray."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster import machines
from cluster.deployment import HOME, ROOT, Deployment, deployment
from cluster.values import allowed
from cluster.versions import locked
from repro import paths as places
from repro.console import commands
from repro.console.options import CLUSTER, CORPUS_ROOT, MEASURED, NODES, RESULTS_ROOT, SWEEP, earlier, real, whole
from repro.errors import UserError, located
from sweeps.grid import expand

if TYPE_CHECKING:
    import jinja2

EXAMPLES = (
    (
        "slurm sweeps/paper.yaml --cluster gpus=64,type=h100,per_node=8 --manifest paper.sbatch",
        "a batch script for eight nodes of eight GPUs",
    ),
    (
        "skypilot sweeps/paper.yaml --cluster gpus=8,type=a100 --results gs://bucket/results",
        "a task for rented machines, on standard output",
    ),
)
# Target -> its template, its required options and its optional ones, besides those of all targets.
TARGETS: dict[str, tuple[str, set[str], set[str]]] = {
    "kuberay": ("kuberay.yaml.j2", {"image"}, {"volume_claim", "service_account", "secret", "hf_secret", "memory"}),
    "slurm": ("slurm.sh.j2", set(), {"partition", "account", "memory", "hf_token"}),
    "aws": ("launcher.yaml.j2", {"image", "region"}, {"instance", "nfs", "hf_token"}),
    "gcp": ("launcher.yaml.j2", {"image", "zone", "project"}, {"instance", "nfs", "boot_image", "hf_token"}),
    "skypilot": ("skypilot.yaml.j2", set(), {"hf_token"}),
}
OF_TOKEN = "for tokenizers and text that need one"
OF_RESULTS = "without it they are kept below --results"
# Option -> its metavar and meaning.
OPTIONS = {
    "image": ("IMAGE", "container image, built from the Dockerfile"),
    "volume_claim": ("NAME", f"ReadWriteMany volume claim for the corpora, mounted at storage.corpus; {OF_RESULTS}"),
    "service_account": ("NAME", "service account of the pods, which may write to the results"),
    "secret": ("NAME", "Secret whose keys become environment variables of the pods: credentials of the store"),
    "hf_secret": ("NAME", f"Secret whose key HF_TOKEN is your Hugging Face token, {OF_TOKEN}"),
    "partition": ("NAME", "Slurm partition"),
    "account": ("NAME", "Slurm account"),
    "region": ("REGION", "AWS region"),
    "zone": ("ZONE", "Google Cloud zone"),
    "project": ("ID", "Google Cloud project"),
    "instance": ("TYPE", "machine type of the training nodes, instead of the usual one with these GPUs"),
    "boot_image": ("IMAGE", "disk image of the GPU nodes, with the GPU driver in it"),
    "nfs": ("HOST:/PATH", f"NFS export for the corpora, mounted at storage.corpus; {OF_RESULTS}"),
}
MOST, HOURS = 1_000_000, 10_000  # nodes, cores per node, GB per node; hours of wall clock
ABSENT: dict[str, Any] = dict.fromkeys(OPTIONS) | {"hf_token": False}


def add_parser(verbs: Any) -> None:
    """Adds the verb render."""
    count = whole(1, MOST)
    hours = real(f"a number of hours, more than 0 and at most {HOURS:,}", 0, HOURS, open_below=True)
    parser = commands.add(
        verbs, "render",
        "Writes the manifest that runs a sweep on a kind of cluster, as planned: nodes, GPUs, image and storage, with token "
        "authentication on.",
        EXAMPLES,
    )  # fmt: skip
    parser.add_argument("target", metavar="TARGET", choices=TARGETS, help=f"kind of cluster: {', '.join(TARGETS)}")
    SWEEP.add(parser)
    CLUSTER.add(parser, default_is="one without GPUs, of --nodes and --cpus")
    MEASURED.add(parser, default_is="throughput by the roofline")
    NODES.add(parser, "of a cluster without GPUs", type=count, default_is="1")
    parser.add_argument("--cpus", type=count, metavar="N", help="CPUs of a node (default: 8 a GPU, else 4)")
    usual = "default: kuberay, 64 a GPU, else 4 a CPU; slurm, what the site says"
    memory = f"kuberay, slurm: memory of a node in GB ({usual})"
    parser.add_argument("--memory", type=count, metavar="GB", help=memory)
    limit = "limit of wall-clock time in hours (default: 1.5 times what the plan says)"
    parser.add_argument("--hours", type=hours, metavar="HOURS", help=limit)
    parser.add_argument("--name", metavar="NAME", help="name of the job or cluster (default: the sweep's)")
    RESULTS_ROOT.add(parser, default_is="the sweep's storage.results")
    built = "the cluster builds them first, on all its cores"
    CORPUS_ROOT.add(parser, "they are there already; a path with slurm alone", default_is=built)
    manifest = "file to write, whose folder is made (default: standard output)"
    parser.add_argument("--manifest", metavar="FILE", help=manifest)
    parser.add_argument(
        "--hf-token",
        action="store_true",
        help=f"slurm, aws, gcp, skypilot: pass your Hugging Face token to the nodes, {OF_TOKEN}; the manifest holds a reference to "
        "it, never the token",
    )
    for option, (metavar, text) in OPTIONS.items():
        takers = [name for name, (_, needed, taken) in TARGETS.items() if option in needed | taken]
        needing = [name for name, (_, needed, _) in TARGETS.items() if option in needed]
        said = f"{', '.join(takers)}: {text} ({'required' if needing == takers else 'default: none'})"
        parser.add_argument(f"--{option.replace('_', '-')}", metavar=metavar, help=said)
    for old, new in (("--storage", "--results"), ("--out", "--manifest"), ("--claim", "--volume-claim")):
        earlier(parser, old, new)
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Renders and writes. Returns the exit code."""
    options = _options(given)
    out = None if given.manifest is None else _out(given.manifest)
    found = deployment(expand(given.file), given, volume=bool(options.get("volume_claim") or options.get("nfs")))
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
    out = Path(places.expand(place, key="--manifest"))
    if out.is_dir() or place.endswith("/"):
        raise UserError("a folder where a file is wanted", key="--manifest", found=place, expected="the name of a file")
    from repro.store.folder import Folder

    Folder.open(out.parent).check_writable(key="--manifest")
    return out


def render(target: str, deployment: Deployment, options: dict[str, Any]) -> str:
    """The manifest of a target.

    Args:
        target: a name of TARGETS.
        deployment: the sweep and its cluster.
        options: the given OPTIONS, by name.
    """
    template, _, _ = TARGETS[target]
    more: dict[str, Any] = {"target": target, "home": str(HOME), "root": str(ROOT), "ray": locked()["ray"]}
    if target in ("aws", "gcp"):
        more["head_machine"] = machines.HEAD[target]
        more["machine"] = options.get("instance") or machines.machine(target, deployment.gpu, deployment.gpus)
    if target == "skypilot" and deployment.gpu:
        more["accelerator"] = machines.accelerator(deployment.gpu)
    return _templates().get_template(template).render(ABSENT | options | more, d=deployment)


def _templates() -> jinja2.Environment:
    """Templates escape values with `json` in YAML (JSON is valid YAML), and with `sh` or `command` in shells."""
    import jinja2  # of the extra `analysis`, which --help does without

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
    for option in (*OPTIONS, "memory"):
        value, name = getattr(given, option), f"--{option.replace('_', '-')}"
        if value is None and option in needed:
            raise UserError(f"{given.target} needs {name}", key=name, expected=OPTIONS[option][1])
        if value is not None and option not in needed | taken:
            raise UserError(f"{given.target} takes no {name}", key=name, found=value)
        if value is not None and option in OPTIONS:
            with located(None, name):
                found[option] = allowed(option, value)
    return found
