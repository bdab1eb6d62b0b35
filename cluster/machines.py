"""Cloud machine types and accelerator names by GPU. No torch, no Ray."""

from __future__ import annotations

from repro.errors import UserError

# (GPU in repro.training.hardware's tables, GPUs per node) -> the cloud's machine type.
AWS = {
    ("H200", 8): "p5en.48xlarge",
    ("H100", 8): "p5.48xlarge",
    ("H100", 1): "p5.4xlarge",
    ("A100", 8): "p4de.24xlarge",
    ("L40S", 8): "g6e.48xlarge",
    ("L40S", 4): "g6e.12xlarge",
    ("L40S", 1): "g6e.xlarge",
    ("L4", 8): "g6.48xlarge",
    ("L4", 4): "g6.12xlarge",
    ("L4", 1): "g6.xlarge",
    ("A10", 8): "g5.48xlarge",
    ("A10", 4): "g5.12xlarge",
    ("A10", 1): "g5.xlarge",
}
GCP = {
    ("H200", 8): "a3-ultragpu-8g",
    ("H100", 8): "a3-highgpu-8g",
    ("H100", 4): "a3-highgpu-4g",
    ("H100", 2): "a3-highgpu-2g",
    ("H100", 1): "a3-highgpu-1g",
    ("A100", 8): "a2-ultragpu-8g",
    ("A100", 4): "a2-ultragpu-4g",
    ("A100", 2): "a2-ultragpu-2g",
    ("A100", 1): "a2-ultragpu-1g",
    ("L4", 8): "g2-standard-96",
    ("L4", 4): "g2-standard-48",
    ("L4", 2): "g2-standard-24",
    ("L4", 1): "g2-standard-8",
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
    known = {"aws": AWS, "gcp": GCP}[cloud]
    if (gpu, per_node) not in known:
        counts = [str(count) for name, count in known if name == gpu]
        raise UserError(
            f"no machine of {cloud} is known with {per_node} {gpu}",
            file="--cluster",
            key="per_node",
            found=per_node,
            expected=f"per_node={' or '.join(counts) or 'another type'}, or --instance TYPE",
        )
    return known[gpu, per_node]


def accelerator(gpu: str) -> str:
    """SkyPilot's name for a GPU."""
    if gpu not in SKYPILOT:
        raise UserError(
            "SkyPilot rents no such GPU", file="--cluster", key="type", found=gpu, expected=", ".join(SKYPILOT)
        )
    return SKYPILOT[gpu]
