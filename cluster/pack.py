"""The checkout as shipped to a cluster: only files tracked by git, no data, results, secrets or hidden files."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from repro import strict
from repro.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = {"data", "results", "node_modules", "__pycache__"}
# Shipped from a checkout without git, such as an unpacked archive: these folders and these files.
FOLDERS = ("analysis", "bench", "cluster", "repro", "sweeps", "tests")
FILES = (
    "LICENSE",
    "Makefile",
    "README.md",
    "pyproject.toml",
    "requirements-build.lock",
    "requirements-cpu.lock",
    "requirements-cuda.lock",
    "requirements-text.lock",
    "requirements.lock",
    "sparse_scaling.py",
)
# Typical names of keys and passwords, tracked or not; .dockerignore and .skyignore list the same.
SECRETS = (
    "*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.gpg", "*.env", "*.env.*", "id_rsa*", "id_dsa*",
    "id_ecdsa*", "id_ed25519*", "*secret*", "*credential*", "*password*", "*kubeconfig*", "auth_token*", "*.token",
)  # fmt: skip
LIMIT = 100 * 2**20  # bytes; Ray's job server refuses larger bodies
SUBMITTED = "submitted"  # folder for a sweep file from outside the checkout


class _Quoting(yaml.SafeDumper):
    """Quotes every string: some plain strings of PyYAML, such as `1e-3`, are numbers to the strict reader."""


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@dataclass(frozen=True)
class Packed:
    """A packed checkout. file, measured: paths in it. warnings: files left out that may be needed."""

    file: str
    measured: str | None
    warnings: list[str]


def pack(file: Path, target: Path, root: Path = ROOT, *, measured: str | None = None) -> Packed:
    """Copies the checkout, with the sweep file and the measured-throughput file, into the empty folder `target`.

    Raises:
        UserError: the checkout is larger than LIMIT.
    """
    sizes = {path: path.stat().st_size for path in files(root)}
    total = sum(sizes.values())
    if total > LIMIT:
        largest = sorted(sizes, key=lambda path: -sizes[path])[:3]
        those = ", ".join(f"{path.relative_to(root)} ({sizes[path] / 2**20:,.0f} MiB)" for path in largest)
        found = f"{total / 2**20:,.0f} MiB; the largest: {those}"
        expected = f"at most {LIMIT / 2**20:.0f} MiB; move what isn't code into data/ or results/, which stay behind"
        raise UserError("too much to submit", file=root, found=found, expected=expected)
    for path in sizes:
        copy = target / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy, follow_symlinks=False)
    speeds = None if measured is None else _written(Path(measured), target, f"measured/{Path(measured).stem}")
    inside = file.resolve()
    if inside in sizes:
        return Packed(inside.relative_to(root).as_posix(), speeds, _untracked(root))
    return Packed(_written(file, target, file.stem), speeds, _untracked(root))


def _written(file: Path, target: Path, name: str) -> str:
    """Writes a YAML or JSON file below SUBMITTED, merged with those that it extends; returns its path in `target`."""
    copy = target / SUBMITTED / f"{name}.yaml"
    copy.parent.mkdir(parents=True, exist_ok=True)
    declared = yaml.dump(strict.read_yaml(file), Dumper=_Quoting, sort_keys=False)
    copy.write_text(declared, encoding="utf-8")
    return copy.relative_to(target).as_posix()


def files(root: Path) -> Iterator[Path]:
    """Every shipped file: regular files only, since a link may point to anything on this machine."""
    tracked = _git(root, "ls-files", "-z", "--cached")
    found = sorted(_walk(root)) if tracked is None else [root / name for name in tracked]
    for path in found:
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") or part.endswith(".egg-info") or part in LEFT_OUT for part in parts)
        if not hidden and not is_secret(path.name) and path.is_file() and not _through_a_link(path, root):
            yield path


def is_secret(name: str) -> bool:
    """Whether a file name looks like that of a key, a token or a password."""
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in SECRETS)


def _through_a_link(path: Path, root: Path) -> bool:
    return path.resolve() != root.resolve() / path.relative_to(root)


def _walk(root: Path) -> Iterator[Path]:
    yield from (root / name for name in FILES)
    for top in FOLDERS:
        for folder, below, names in os.walk(root / top):
            below[:] = [name for name in below if not name.startswith(".") and name not in LEFT_OUT]
            yield from (Path(folder) / name for name in names)


def _untracked(root: Path) -> list[str]:
    """A warning about untracked code and sweep files, which aren't shipped."""
    listed = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *FOLDERS) or []
    found = [name for name in listed if name.endswith((".py", ".yaml", ".j2"))]
    shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
    return [f"{len(found)} files that git doesn't track stay behind: {shown}"] if found else []


def _git(root: Path, *words: str) -> list[str] | None:
    """The names printed by git; None without git, or if this folder isn't a git checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), "-c", "core.fsmonitor=false", *words]
    try:
        done = subprocess.run(command, capture_output=True, env=environment, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    names = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
    # A checkout nested in another project's repository doesn't count as a git checkout.
    return names if words[1:3] != ("-z", "--cached") or "requirements.lock" in names else None
