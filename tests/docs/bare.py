"""A machine with nothing but Debian's base, in a folder: namespaces around a root of its own, with this machine's network."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = ("debootstrap", "unshare", "chroot", "git")
USER = "reader"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# What of pip's settings is this machine's network: where packages are, and who vouches for it.
OF_NETWORK = ("index-url", "find-links", "cert", "timeout", "default-timeout", "proxy", "trusted-host")
NAMESPACES = ("unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--propagation=private")


class Machine:
    """Debian's base system below `folder`, with a user `reader` whose home has the checkout, `suite`, and nothing else."""

    def __init__(self, folder: Path, suite: str = "bookworm") -> None:
        self.folder = folder
        base = ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, str(folder)]
        done = subprocess.run(base, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(base)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        folder.chmod(0o755)
        for file in ("/etc/resolv.conf", "/etc/hosts", CERTIFICATES):
            shutil.copy(file, f"{folder}{file}")
        self.call("useradd", "--create-home", USER, user="root")
        self.home = folder / "home" / USER
        (self.home / "suite").mkdir()
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "x", "-C", str(self.home / "suite")], input=archive, check=True)
        self.call("chown", "--recursive", f"{USER}:{USER}", f"/home/{USER}", user="root")

    def call(
        self, *words: str, user: str = USER, folder: str = "", active: str = "", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on it.

        Args:
            words: the command.
            user: who runs it; each has an empty environment but for PATH, HOME and this machine's network.
            folder: where, below the home.
            active: the virtual environment that is active, below the home.
            check: whether another exit code than 0 is an error.
        """
        home = "/root" if user == "root" else f"/home/{user}"
        settings = {"HOME": home, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **_network()}
        places = [value for value in settings.values() for value in value.split() if os.path.isdir(value)]
        mounts = [f"mkdir -p {self.folder}{place} && mount --bind {place} {self.folder}{place}" for place in places]
        inside = f'cd {home}/{folder}; {f". {home}/{active}/bin/activate;" if active else ""} exec "$@"'
        given = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
        script = "\n".join([
            "set -e",
            f"mount -t proc proc {self.folder}/proc",
            f"mount --rbind /dev {self.folder}/dev",
            f"mount -t tmpfs tmpfs {self.folder}/dev/shm",
            *mounts,
            f"exec chroot --userspec={user}:{user} {self.folder} env -i {given} sh -c {shlex.quote(inside)} -- \"$@\"",
        ])  # fmt: skip
        done = subprocess.run([*NAMESPACES, "sh", "-c", script, "--", *words], capture_output=True, text=True)
        if check and done.returncode:
            said = f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
            raise AssertionError(f"{shlex.join(words)}: exit code {done.returncode}\n{said}")
        return done

    def megabytes(self, place: str) -> float:
        """What a folder or file below the home takes on the disk."""
        du = subprocess.run(["du", "-sm", str(self.home / place)], check=True, capture_output=True, text=True)
        return float(du.stdout.split()[0])


def _network() -> Mapping[str, str]:
    """pip's settings of this machine, as environment variables."""
    words = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        if (name := key.rpartition(".")[2]) in OF_NETWORK:
            found[f"PIP_{name.upper().replace('-', '_')}"] = value.strip("'\"")
    return found


@contextmanager
def machine(suite: str = "bookworm") -> Iterator[Machine]:
    """A machine that is gone afterwards: it takes 4 GB once `.venv` is there."""
    folder = Path(tempfile.mkdtemp(prefix="bare-", dir="/tmp"))
    try:
        yield Machine(folder, suite)
    finally:
        shutil.rmtree(folder)
