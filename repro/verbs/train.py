"""`python -m repro train`: trains one spec in this process, without Ray."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from typing import Any

from repro.bounds import STEPS
from repro.console import commands
from repro.console.options import CORPUS_ROOT, DEVICE, OUT, real, whole
from repro.verbs import DENSE_RUN, RUN

EXAMPLES = (
    (f"{RUN} --out out/again", "a run of a sweep once more"),
    (f"{DENSE_RUN} --out out/next --init {RUN}", "the dense run from the weights at the end of the sparse one"),
)


def add_parser(verbs: Any) -> None:
    parser = commands.add(
        verbs, "train",
        "Trains one run in this process, without Ray. The same command resumes a run that was stopped.",
        EXAMPLES,
    )  # fmt: skip
    parser.add_argument("spec", metavar="SPEC", help="spec.json of a run, a run's folder, or YAML of the same keys")
    OUT.add(parser, "it becomes the run's folder", required=True)
    CORPUS_ROOT.add(parser, default="data")
    DEVICE.add(parser)
    parser.add_argument(
        "--zero-stage",
        type=int,
        choices=(0, 1, 2, 3),
        default=1,
        help="stage of DeepSpeed's ZeRO (default: %(default)s)",
    )
    parser.add_argument(
        "--micro-batch", type=whole(1, STEPS), metavar="N", help="sequences at once (default: the whole batch)"
    )
    parser.add_argument("--compile", action="store_true", help="use torch.compile; not with --zero-stage 3")
    parser.add_argument("--deterministic", action="store_true", help="use only deterministic kernels, which are slower")
    parser.add_argument(
        "--out-of-memory",
        choices=("retry", "fail"),
        default="retry",
        help="continue with smaller micro-batches, or end and name a micro-batch that fits (default: %(default)s)",
    )
    parser.add_argument(
        "--spike",
        type=real("a number of nats", open_below=True),
        default=5.0,
        metavar="NATS",
        help="the run fails if a loss exceeds the lowest mean of ten earlier steps by more (default: %(default)g nats)",
    )
    parser.add_argument(
        "--tracker",
        dest="trackers",
        action="append",
        choices=("mlflow", "wandb"),
        default=[],
        help="log to it too; may be repeated (default: TensorBoard alone)",
    )
    parser.add_argument(
        "--checkpoint-minutes",
        type=real("a number of minutes", open_below=True),
        default=10.0,
        metavar="MINUTES",
        help="minutes between checkpoints (default: %(default)g)",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=whole(1, STEPS),
        metavar="N",
        help="save a checkpoint at every multiple of so many steps too (default: by minutes alone)",
    )
    parser.add_argument(
        "--keep-checkpoints",
        type=whole(1, STEPS),
        default=2,
        metavar="N",
        help="checkpoints that are kept while it trains (default: %(default)s)",
    )
    parser.add_argument(
        "--fork",
        metavar="RUN",
        help="folder of another run, from whose checkpoint to continue (default: from the start)",
    )
    parser.add_argument(
        "--at",
        type=whole(0, STEPS),
        metavar="STEP",
        help="step of the checkpoint of --fork or --init (default: the newest)",
    )
    parser.add_argument(
        "--init",
        metavar="MODEL",
        help="weights to start from, of the spec's shape: a Llama's Hugging Face folder or id, or a run's folder, whose order "
        "of the text is continued (default: random weights)",
    )
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    # As in a sweep's lanes, for bit-identical numbers; torch reads it when it is first imported.
    os.environ["OMP_NUM_THREADS"] = "1"
    from repro import spec as specs
    from repro.paths import expand
    from repro.store.folder import Folder

    spec, folder = specs.load(given.spec), Folder.open(given.out, key="--out")
    folder.check_writable(key="--out")
    from repro.console.signals import Heeded
    from repro.console.terminal import printable
    from repro.corpus import build
    from repro.models.folder import start_from
    from repro.resources import Resources
    from repro.store.run_folder import RunFailed, RunFolder, Stopped
    from repro.strict import taken
    from repro.training import trackers
    from repro.training.fork import begun, checkpoint_of, fork
    from repro.training.train import train

    parent = None
    if given.init:
        place = expand(given.init, key="--init")
        if Folder.open(place).exists("status.json"):  # a run's folder
            parent = Folder.open(place)
            if spec.parent is None:  # otherwise its spec names the run and the step
                _, manifest = checkpoint_of(parent, given.at)
                spec = spec.starting_from(RunFolder(parent).spec()[0], manifest["step"])
        else:
            spec = dataclasses.replace(spec, start=start_from(place))
    resources = Resources(**taken(Resources, vars(given)))
    trackers.require(resources.trackers, "--tracker")
    text = build(spec.corpus, spec.model.vocab, spec.model.sequence, given.corpus, progress=print)
    if RunFolder(folder).is_done(spec, text.hash):
        print(f"{spec.run_id} is done already in {folder}")
        return 0
    if given.fork and not begun(folder):
        step = fork(Folder.open(given.fork), folder, spec, given.at, text.hash)
        print(f"continuing from step {step:,} of {given.fork}")
    try:
        with Heeded("stopping after saving a checkpoint; a second signal stops at once") as heeded:
            row = train(spec, folder, text, resources, signalled=heeded.asked, parent=parent)
    except RunFailed as error:
        print(f"failed: {spec.run_id}: {printable(str(error))}", file=sys.stderr)
        return 1
    except Stopped as at:
        print(f"stopped: {at}; the same command resumes from here", file=sys.stderr)
        return 130
    print(
        f"{spec.run_id}: held-out loss {row['loss']:.4f} ± {row['loss_se']:.4f} nats/token, N_avg {row['N_avg']:,.0f}, "
        f"{row['tokens_per_second'] / 1e3:.0f}k tokens/s -> {folder}"
    )
    return 0
