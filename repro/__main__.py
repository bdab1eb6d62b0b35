"""`python -m repro VERB`: one run and its parts."""

from __future__ import annotations

import sys

from repro.console import commands
from repro.console.guard import guarded

ROOM = commands.Room(
    "repro",
    "One run: its schedule, its text, its training, its model.",
    {
        "schedule": ("repro.verbs.schedule", "resolve a pruning schedule and draw it"),
        "train": ("repro.verbs.train", "train one run in this process, without Ray"),
        "corpus": ("repro.verbs.corpus", "build a sweep's text as token shards, inspect or verify it"),
        "evaluate": (
            "repro.verbs.evaluate",
            "measure loss, perplexity and task scores of a model, with standard errors",
        ),
        "flatness": ("repro.verbs.flatness", "estimate the trace of the Hessian of the held-out loss"),
        "export": ("repro.verbs.export", "write a run as a folder that transformers loads"),
        "prune": ("repro.verbs.prune", "remove blocks, heads, channels or weights of a trained model"),
        "grow": ("repro.verbs.grow", "make a trained model wider or deeper, to be trained on"),
        "inspect": ("repro.verbs.inspect", "count a model's weights and check claims about them"),
    },
)


@guarded
def main(argv: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    return commands.run_room(ROOM, argv)


if __name__ == "__main__":
    sys.exit(main())
