"""`python -m cluster submit | logs | stop | fetch | render | doctor | wait`."""

from __future__ import annotations

import sys

from repro.console import commands
from repro.console.guard import guarded

VERBS = {
    "submit": ("cluster.submit", "submit a sweep to a cluster, which trains the runs that are not done"),
    "logs": ("cluster.jobs", "print the driver's output of a submitted sweep"),
    "stop": ("cluster.jobs", "stop a submitted sweep; it saves checkpoints first"),
    "fetch": ("cluster.fetch", "copy a sweep's tables to this machine; again, only changed files"),
    "render": ("cluster.render", "write the manifest that runs a sweep on a cluster"),
    "doctor": ("cluster.verbs.doctor", "preflight check of an environment before a sweep"),
    "wait": ("cluster.wait", "wait until the nodes of the cluster at RAY_ADDRESS have joined"),
}

EXAMPLES = """examples:
  python -m cluster render --help                              manifests for Kubernetes, Slurm and clouds
  python -m cluster doctor sweeps/laptop.yaml                  preflight check of this machine for that sweep
  python -m cluster doctor --address HEAD:6379 --json          preflight check of a cluster
  python -m cluster submit sweeps/paper.yaml --address http://head:8265 --results s3://bucket/results
  python -m cluster submit sweeps/quick.yaml --results /nfs/results --follow     a folder shared by every node
  python -m cluster logs quick-1122-101530 --follow                              the driver's output
  python -m cluster stop quick-1122-101530                                       it saves checkpoints first
  python -m cluster fetch quick-1122-101530                                      tables -> results/quick
  python -m cluster fetch s3://bucket/results/quick --to /tmp/quick --checkpoints

The address is taken from --address, RAY_API_SERVER_ADDRESS or RAY_ADDRESS, or is http://127.0.0.1:8265; reach a remote
cluster through `ssh -L 8265:127.0.0.1:8265 HEAD` or `kubectl port-forward`. The token is taken from RAY_AUTH_TOKEN,
RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.
"""


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    return commands.run("python -m cluster", "Sweeps on a Ray cluster.", EXAMPLES, VERBS, argv)


if __name__ == "__main__":
    sys.exit(main())
