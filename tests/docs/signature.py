"""What two calls of one command have in common: the verb, and the options that are given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

OURS = ("repro", "sweeps", "cluster", "analysis")
# Verbs whose next word says what is done, and options whose value does.
TWO_WORDS = {"repro corpus", "cluster render", "kubectl", "make", "pip", "ray", "sky", "git", "docker"}
CHOICES = {"--method", "--law"}
ONLY_LOOKS = {"--dry-run", "--plan"}
NAMED = re.compile(r"^([A-Za-z]\w*)=")  # SWEEP=… of make, and N=… of predict


@dataclass(frozen=True)
class Signature:
    """verb: `analysis fit`, `repro corpus build`, `bench.roof`, `make quick`, `sbatch`, or empty for what is no command here.
    options: `--bootstrap`, `--method free`, `SWEEP=`; values are left out but for those of a choice."""

    verb: str
    options: frozenset[str]

    @property
    def does(self) -> tuple[str, frozenset[str]]:
        """What it does: the verb, and what keeps it from doing it."""
        return self.verb, self.options & ONLY_LOOKS

    def __str__(self) -> str:
        return " ".join((self.verb, *sorted(self.options)))


def signature(words: Sequence[str]) -> Signature:
    """Of the words of a command line, or of one shortened to `analysis fit --law chinchilla`. Whatever stands before
    `-m MODULE` is left out."""
    words = [str(word) for word in words]
    if words[:1] == ["unshare"] and "--" in words:  # tests/docs/bare.py
        words = words[words.index("--") + 1 :]
    modules = [i for i, word in enumerate(words) if word == "-m" and i and "python" in PurePath(words[i - 1]).name]
    if modules:
        words = words[modules[0] + 1 :]
    elif words:
        words = [PurePath(words[0]).name, *words[1:]]
    if not words:
        return Signature("", frozenset())
    parts = 2 if words[0] in OURS or words[0] in TWO_WORDS else 1
    parts += " ".join(words[:2]) in TWO_WORDS
    verb, rest = " ".join(words[:parts]), words[parts:]
    if words[0] == "make":
        targets = [word for word in words[1:] if not NAMED.match(word) and not word.startswith("-")]
        verb, rest = f"make {targets[0] if targets else ''}", words[1:]
    return Signature(verb, frozenset(_options(verb, rest)))


def _options(verb: str, words: Sequence[str]) -> Iterator[str]:
    for i, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in CHOICES:
            yield f"{name} {value if equals else ' '.join(words[i + 1 : i + 2])}"
        elif name.startswith("--") and len(name) > 2:
            yield name
        elif verb.startswith(("make ", "analysis predict")) and NAMED.match(word):
            yield f"{name}="
        elif verb == "pip install" and i == len(words) - 1:
            yield re.sub(r"^.*(?=\[)", "", word)  # of a path, which extra
