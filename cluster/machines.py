"""Cloud machine types and accelerator names by GPU. No torch, no Ray."""

from __future__ import annotations

from repro.errors import UserError

# GPU in repro.training.hardware's tables -> GPUs of a node -> the cloud's machine type.
AWS = {
    "H200": {8: "p5en.48xlarge"},
    "H100": {8: "p5.48xlarge", 1: "p5.4xlarge"},
    "A100": {8: "p4de.24xlarge"},
    "L40S": {8: "g6e.48xlarge", 4: "g6e.12xlarge", 1: "g6e.xlarge"},
    "L4": {8: "g6.48xlarge", 4: "g6.12xlarge", 1: "g6.xlarge"},
    "A10": {8: "g5.48xlarge", 4: "g5.12xlarge", 1: "g5.xlarge"},
}
GCP = {
    "H200": {8: "a3-ultragpu-8g"},
    "H100": {count: f"a3-highgpu-{count}g" for count in (8, 4, 2, 1)},
    "A100": {count: f"a2-ultragpu-{count}g" for count in (8, 4, 2, 1)},
    "L4": {8: "g2-standard-96", 4: "g2-standard-48", 2: "g2-standard-24", 1: "g2-standard-8"},
}
CPU_ONLY = {"aws": "m6i.4xlarge", "gcp": "n2-standard-16"}
HEAD = {"aws": "m6i.2xlarge", "gcp": "n2-standard-8"}  # the driver and Ray's own processes; trains nothing
SKYPILOT = {
    "H200": "H200",
    "H100": "H100",
    "A100": "A100-80GB",
    "L40S": "L40S",
    "L4": "L4",
    "A10": "A10",
    "V100": "V100-32GB",
}


def machine(cloud: str, gpu: str | None, per_node: int) -> str:
    """The machine type of a node. Raises UserError if none is known; --instance overrides it."""
    if gpu is None:
        return CPU_ONLY[cloud]
    known = {"aws": AWS, "gcp": GCP}[cloud].get(gpu, {})
    if per_node not in known:
        what = f"no machine of {cloud} is known with {per_node} {gpu}"
        expected = f"per_node={' or '.join(map(str, known)) or 'another type'}, or --instance TYPE"
        raise UserError(what, file="--cluster", key="per_node", found=per_node, expected=expected)
    return known[per_node]


def accelerator(gpu: str) -> str:
    """SkyPilot's name for a GPU."""
    if gpu not in SKYPILOT:
        expected = ", ".join(SKYPILOT)
        raise UserError("SkyPilot rents no such GPU", file="--cluster", key="type", found=gpu, expected=expected)
    return SKYPILOT[gpu]
