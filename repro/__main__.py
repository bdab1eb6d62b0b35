"""`python -m repro schedule | train | corpus | evaluate | flatness | export | prune | grow | inspect`: one run, its parts."""

from __future__ import annotations

import sys

from repro.console import commands
from repro.console.guard import guarded

VERBS = {
    "schedule": ("repro.verbs.schedule", "resolve a pruning schedule and draw it"),
    "train": ("repro.verbs.train", "train one spec in this process, without Ray"),
    "corpus": ("repro.verbs.corpus", "build a sweep's text as token shards, inspect or verify it"),
    "evaluate": ("repro.verbs.evaluate", "loss, perplexity and task scores of a model, with standard errors"),
    "flatness": ("repro.verbs.flatness", "the trace of the Hessian of the held-out loss"),
    "export": ("repro.verbs.export", "write a run as a folder that transformers loads"),
    "prune": ("repro.verbs.prune", "remove blocks, heads, channels or weights of a trained model"),
    "grow": ("repro.verbs.grow", "make a trained model wider or deeper, to be trained on"),
    "inspect": ("repro.verbs.inspect", "count a model's weights and check claims about them"),
}

EXAMPLES = """examples:
  python -m repro schedule --sparsity .8 --dense-steps 10000 --start .25 --end .75 --interval 25
  python -m repro train results/quick/runs/RUN_ID --out /tmp/again     one run again, with no Ray
  python -m repro train later.yaml --out /tmp/fork --fork /tmp/again --at 2000
  python -m repro train next.yaml --out /tmp/next --init out/model     from weights instead of the initialisation
  python -m repro corpus build sweeps/quick.yaml                       a sweep's text as token shards
  python -m repro corpus inspect sweeps/quick.yaml                     statistics and samples of them
  python -m repro evaluate results/quick/runs/RUN_ID 'texts/*.txt' --stride 64     loss and perplexity on any text
  python -m repro flatness RUN OTHER_RUN sweeps/quick.yaml             how flat two runs' minima are
  python -m repro export results/quick/runs/RUN_ID out/model           for transformers
  python -m repro prune out/model out/small --method wanda --rate .25 --text sweeps/quick.yaml    a smaller model
  python -m repro grow out/model out/wide --method grow-width-noise --factor 2     a larger one
  python -m repro inspect out/model --claim sparsity=.8                count its weights
"""


@guarded
def main(argv: list[str] | None = None) -> int:
    return commands.run(
        "python -m repro", "One run: its schedule, its text, its training, its model.", EXAMPLES, VERBS, argv
    )


if __name__ == "__main__":
    sys.exit(main())
