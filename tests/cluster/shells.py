"""What the shell text of a manifest says, word for word: it is run by bash, and `python`, `ray` and Slurm's commands note
down how they are called instead of doing it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests import parsers

# Notes its own name and words, and what it knows of the token; `python -c` is run, and so is what `srun` would start.
NOTE = """#!{python}
import json, os, sys
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
if name == "srun":
    rest = [i for i, word in enumerate(words) if not word.startswith("--")]
    words = words[rest[0]:]
    if words[0] != "mkdir":  # of other machines, which have no such folder yet
        os.execvp(words[0], words)
if name == "python" and words[:1] == ["-c"]:
    os.execv({python!r}, [{python!r}, *words])
with open({log!r}, "a") as log:
    log.write(json.dumps([[name, *words], os.environ.get("HF_TOKEN"), os.getcwd()]) + "\\n")
if name == "squeue":
    print("COMPLETED")
if name == "hostname":
    print("10.0.0.1")
"""
NOTED = ("python", "python3", "ray", "srun", "squeue", "scontrol", "hostname", "pip")


@dataclass(frozen=True)
class Call:
    """One call: its words, the Hugging Face token that it finds, and the folder that it is made in."""

    words: list[str]
    token: str | None
    folder: str


def run(script: str, root: Path, environment: Mapping[str, str] = MappingProxyType({}), *, code: int = 0) -> list[Call]:
    """Runs bash on a script below `root`; returns the calls in their order, those in the background wherever they come."""
    log, bin = root / "calls", root / "bin"
    bin.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    for name in NOTED:
        (bin / name).write_text(NOTE.format(python=sys.executable, log=str(log)))
        (bin / name).chmod(0o755)
    env = {"PATH": f"{bin}:/usr/bin:/bin", "HOME": str(root), "TMPDIR": str(root), **environment}
    done = subprocess.run(["bash"], input=script, env=env, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    lines = log.read_text().splitlines() if log.exists() else []
    return [Call(*json.loads(line)) for line in lines]


def modules(calls: Sequence[Call]) -> list[tuple[str, list[str]]]:
    """Module and words of each `python -m`."""
    return [(c.words[2], c.words[3:]) for c in calls if c.words[0] == "python" and c.words[1] == "-m"]


def parsed(module: str, words: list[str]) -> argparse.Namespace | None:
    """What a command of the project makes of its words; None of a module without a parser. SystemExit when it refuses."""
    if module not in parsers.ROOMS:
        assert importlib.util.find_spec(module) is not None, module
        assert not words
        return None
    return parsers.parse(["python", "-m", module, *words])


def check(calls: Sequence[Call]) -> None:
    """Holds every command of the project, of Ray and of pip to its own parser."""
    import setuptools  # noqa: F401  # once pip is imported it can't be any more, and PyTorch's compiler needs it
    from pip._internal.commands import create_command
    from ray.scripts.scripts import cli

    parsers: dict[str, Callable[[list[str]], object]] = {
        "ray": lambda words: cli.commands[words[0]].make_context(words[0], words[1:]),
        "pip": lambda words: create_command(words[0]).parse_args(words[1:]),
    }
    for call in calls:
        if call.words[0] in parsers:
            parsers[call.words[0]](call.words[1:])
    for module, words in modules(calls):
        if module == "pip":
            parsers["pip"](words)
        elif module != "venv":
            parsed(module, words)


def through_kuberay(entrypoint: str, root: Path) -> list[Call]:
    """The calls that come of a RayJob's entrypoint: KubeRay's submitter is a shell, and so is what Ray starts for a job."""
    [call, *more] = run(
        f"if false ; then : ; else ray job submit --address http://head:8265 -- {entrypoint} ; fi", root
    )
    assert not more, "a part of the entrypoint would run in the submitter"
    job = call.words[call.words.index("--") + 1 :]
    text = subprocess.list2cmdline(job)  # as `ray job submit` joins them
    return run(text.replace("cd /app", "cd ."), root, {"RAY_ADDRESS": "10.0.0.1:6379"})
