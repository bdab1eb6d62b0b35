"""`python -m repro schedule | train | corpus`: one run and its parts."""

from __future__ import annotations

import argparse
import os
import sys

from repro import schedule_cli
from repro.errors import UserError, guarded

EXAMPLES = """examples:
  python -m repro schedule --sparsity .8 --dense-steps 10000 --start .25 --end .75 --interval 25
  python -m repro train results/quick/runs/RUN_ID --out /tmp/again     one run again, with no Ray
  python -m repro train later.yaml --out /tmp/fork --fork /tmp/again --at 2000
  python -m repro corpus sweeps/quick.yaml                             build and describe a sweep's text
"""


@guarded
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m repro",
        description="One run: its schedule, its text, its training.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    schedule_cli.add_parser(verbs)
    train = verbs.add_parser("train", help="train one spec in this process, without Ray")
    train.add_argument("spec", help="spec.json of a run, its folder, or YAML of the same keys")
    train.add_argument("--out", required=True, help="folder of the run: a path or a URI")
    train.add_argument("--corpus", default="data", help="root of the token shards (default: data)")
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    train.add_argument("--zero-stage", type=int, choices=(0, 1, 2, 3), default=1)
    train.add_argument("--micro-batch", type=int, help="sequences at once (default: the whole batch)")
    train.add_argument("--checkpoint-every", type=int, default=1000, help="steps (default: 1000)")
    train.add_argument("--keep-checkpoints", type=int, default=2, help="how many stay while it trains (default: 2)")
    train.add_argument(
        "--fork", metavar="RUN", help="folder of another run, from a checkpoint of which this one starts"
    )
    train.add_argument("--at", type=int, metavar="STEP", help="which checkpoint of it (default: the newest)")
    text = verbs.add_parser("corpus", help="build the text of a sweep, if need be, and describe it")
    text.add_argument("file", help="sweep YAML")
    given = parser.parse_args(argv)
    if given.verb == "schedule":
        return schedule_cli.main(given)
    return _train(given) if given.verb == "train" else _corpus(given)


def _train(given: argparse.Namespace) -> int:
    # As in a sweep's lanes, so that the numbers are the same to the bit; torch reads it when it is first imported.
    os.environ["OMP_NUM_THREADS"] = "1"
    from repro import spec as specs
    from repro.corpus import build
    from repro.fork import begun, fork
    from repro.resources import Resources
    from repro.run_folder import RunFailed, RunFolder
    from repro.storage import Folder
    from repro.train import train

    spec = specs.load(given.spec)
    folder = Folder.open(given.out)
    resources = Resources(
        device=given.device,
        zero_stage=given.zero_stage,
        micro_batch=given.micro_batch,
        checkpoint_every=given.checkpoint_every,
        keep_checkpoints=given.keep_checkpoints,
    )
    text = build(spec.corpus, spec.model.vocab, spec.model.sequence, given.corpus, progress=print)
    if RunFolder(folder).is_done(spec, text.hash):
        print(f"{spec.run_id} is done already in {folder}")
        return 0
    if given.fork and not begun(folder):
        step = fork(Folder.open(given.fork), folder, spec, given.at, text.hash)
        print(f"going on from step {step:,} of {given.fork}")
    try:
        row = train(spec, folder, text, resources)
    except RunFailed as error:
        print(f"failed: {spec.run_id}: {error}", file=sys.stderr)
        return 1
    print(
        f"{spec.run_id}: held-out loss {row['loss']:.4f} ± {row['loss_se']:.4f} nats/token, N_avg {row['N_avg']:,.0f}, "
        f"{row['tokens_per_second'] / 1e3:.0f}k tokens/s -> {folder}"
    )
    return 0


def _corpus(given: argparse.Namespace) -> int:
    from repro import strict
    from repro.corpus import build, describe
    from repro.spec import CorpusSpec

    declared = strict.read_yaml(given.file)
    spec = strict.build(CorpusSpec, declared.get("corpus"), file=given.file, key="corpus")
    model, storage = declared.get("model") or {}, declared.get("storage") or {}
    for key in ("vocab", "sequence"):
        if not isinstance(model.get(key), int):
            raise UserError(
                "missing key", file=given.file, key=f"model.{key}", found=model.get(key), expected="a whole number"
            )
    text = build(spec, model["vocab"], model["sequence"], storage.get("corpus", "data"), progress=print)
    print(describe(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
