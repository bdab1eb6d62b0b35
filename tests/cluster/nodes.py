"""Real Ray nodes of a test: each a `ray start --block` with an environment of its own, ended with the test."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import requests

from tests import plain
from tests.stores import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


class Cluster:
    """A head and as many nodes as are added. Token authentication is on, with a token of its own.

    Args:
        address: of the head, on which its dashboard listens too.
        inside: words before the head's command line, `ip netns exec NAME` say.
        env: variables of every node.
        cpus: of the head; other nodes have one.
    """

    def __init__(
        self,
        address: str = "127.0.0.1",
        inside: Sequence[str] = (),
        env: dict[str, str] | None = None,
        cpus: int = 1,
    ):
        # Sockets lie below it, whose paths may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="nodes-", dir="/tmp"))
        self.token = secrets.token_hex(32)
        self.env = env or {}
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        port, dashboard = free_port(), free_port()
        self.gcs, self.url = f"{address}:{port}", f"http://{address}:{dashboard}"
        words = ["--head", f"--port={port}", f"--ray-client-server-port={free_port()}"]
        words += [f"--dashboard-host={address}", f"--dashboard-port={dashboard}"]
        try:
            self._start("head", address, inside, words, cpus)
            self._wait(lambda: len(self.alive()) == 1, "the head answers")
        except BaseException:
            self.close()
            raise

    def add(self, name: str, address: str = "127.0.0.1", inside: Sequence[str] = ()) -> None:
        """Adds a node, whether or not one of this name has been there; returns when it has joined."""
        before = self.alive()
        self._start(name, address, inside, [f"--address={self.gcs}"], 1)
        self._wait(lambda: self.alive() - before, f"{name} joins")  # one that was killed may still count as alive

    def kill(self, name: str) -> None:
        """Ends a node and all that runs on it, without a word to anybody."""
        started, found = self.nodes.pop(name), []
        with contextlib.suppress(psutil.NoSuchProcess):  # where it has ended, what it has started may be left
            node = psutil.Process(started.pid)
            found = [node, *node.children(recursive=True)]
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if any(f"{self.folder}/{name}" in word for word in process.cmdline()):
                    found.append(process)
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def node_of(self, pid: int) -> str | None:
        """The node that a process runs on; None when it has ended, or is none of ours."""
        with contextlib.suppress(psutil.NoSuchProcess):
            above = {parent.pid for parent in psutil.Process(pid).parents()}
            return next((name for name, start in self.nodes.items() if start.pid in above), None)
        return None

    def alive(self) -> set[str]:
        """Ids of the nodes that the cluster believes to be there."""
        answer = self._get("/api/v0/nodes?filter_keys=state&filter_predicates=%3D&filter_values=ALIVE").json()
        return {node["node_id"] for node in answer["data"]["result"]["result"]}

    def close(self) -> None:
        for name in reversed(list(self.nodes)):
            self.kill(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def cli(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Runs `python -m cluster` on a machine that isn't of the cluster: all it has is the address and the token."""
        return subprocess.run(
            [sys.executable, "-m", "cluster", *words],
            cwd=ROOT,
            env={**os.environ, "RAY_API_SERVER_ADDRESS": self.url, "RAY_AUTH_TOKEN": self.token, **env},
            capture_output=True,
            text=True,
            timeout=1800,
        )

    def _start(self, name: str, address: str, inside: Sequence[str], words: list[str], cpus: int) -> None:
        env = {name: value for name, value in plain.environment().items() if name != "PYTHONPATH"}
        env |= {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            "XDG_CACHE_HOME": str(self.folder / f"cache-{name}"),  # they share no copy of the corpus
            **self.env,
        }
        # A folder of its own too: nodes clear away each other's working_dir where they share one.
        command = [*inside, str(BIN / "ray"), "start", "--block", f"--node-ip-address={address}", f"--num-cpus={cpus}"]
        command += [f"--dashboard-agent-listen-port={free_port()}", "--object-store-memory=100000000"]
        command += [f"--temp-dir={self.folder}/{name}", *words]
        with open(self.folder / f"{name}.log", "a") as log:
            self.nodes[name] = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)

    def _get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, headers={"Authorization": f"Bearer {self.token}"}, timeout=10)

    def _wait(self, done, what: str) -> None:
        deadline = time.time() + 90
        while time.time() < deadline:
            with contextlib.suppress(requests.exceptions.RequestException):
                if done():
                    return
            time.sleep(0.3)
        logs = "\n".join(file.read_text() for file in self.folder.glob("*.log"))
        raise AssertionError(f"in vain: {what}\n{logs}")
