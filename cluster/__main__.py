"""`python -m cluster submit | logs | stop | fetch | render | doctor | wait`."""

from __future__ import annotations

import sys

from repro.console import commands
from repro.console.guard import guarded

VERBS = {
    "submit": ("cluster.submit", "send a sweep to a cluster, where what is not done is trained"),
    "logs": ("cluster.jobs", "what the driver of a submitted sweep printed"),
    "stop": ("cluster.jobs", "stop a submitted sweep; it saves checkpoints first"),
    "fetch": ("cluster.fetch", "bring a sweep's tables here; said again, only what has changed"),
    "render": ("cluster.render", "write the manifest that runs a sweep on a kind of cluster"),
    "doctor": ("cluster.verbs.doctor", "say what is wrong with an environment before a sweep finds out"),
    "wait": ("cluster.wait", "wait until the nodes of the cluster at RAY_ADDRESS have joined"),
}

EXAMPLES = """examples:
  python -m cluster render --help                              manifests for Kubernetes, Slurm and clouds
  python -m cluster doctor sweeps/laptop.yaml                  is this machine fit for that sweep?
  python -m cluster doctor --address HEAD:6379 --json          and that cluster for any?
  python -m cluster submit sweeps/paper.yaml --address http://head:8265 --results s3://bucket/results
  python -m cluster submit sweeps/quick.yaml --results /nfs/results --follow     a folder that every node sees
  python -m cluster logs quick-1122-101530 --follow                              what its driver prints
  python -m cluster stop quick-1122-101530                                       it saves checkpoints first
  python -m cluster fetch quick-1122-101530                                      tables -> results/quick
  python -m cluster fetch s3://bucket/results/quick --to /tmp/quick --checkpoints

The address is --address, else RAY_API_SERVER_ADDRESS, RAY_ADDRESS or http://127.0.0.1:8265; a cluster elsewhere is
reached through `ssh -L 8265:127.0.0.1:8265 HEAD` or `kubectl port-forward`. The token is that of RAY_AUTH_TOKEN,
RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.
"""


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    return commands.run("python -m cluster", "Sweeps on a Ray cluster.", EXAMPLES, VERBS, argv)


if __name__ == "__main__":
    sys.exit(main())
