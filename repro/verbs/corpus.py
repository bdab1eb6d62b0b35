"""`python -m repro corpus build | inspect`: the text of a sweep as token shards, and what is in them."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from repro.errors import UserError

if TYPE_CHECKING:
    from repro.corpus import Corpus

EXAMPLES = """examples:
  python -m repro corpus build sweeps/quick.yaml                      in this process, with the tokenizer's threads
  python -m repro corpus build sweeps/paper.yaml --workers 64         read and encoded by 64 processes of Ray Data
  python -m repro corpus build sweeps/paper.yaml --address head:6379  by all cores of a cluster
  python -m repro corpus inspect sweeps/quick.yaml                    counts, hashes verified, samples, histogram
  python -m repro corpus inspect data/botocore-v288-s64-0f3e2d1c --json

A build that was killed goes on where it was; what it keeps is a hidden folder beside the corpus, NAME.build. On a
cluster, text files and storage.corpus lie where every node sees them: at one path, or storage.corpus on an object store.
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    shown = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = verbs.add_parser("corpus", **shown)
    kinds = parser.add_subparsers(dest="kind", required=True)
    builder = kinds.add_parser("build", help="build a sweep's corpus unless it is there, and describe it", **shown)
    builder.add_argument("spec", metavar="SPEC", help="sweep YAML")
    builder.add_argument("--workers", type=int, help="processes of Ray Data (default: this process; a cluster's cores)")
    builder.add_argument("--address", metavar="HEAD:PORT", help="of a Ray cluster to do it on")
    builder.add_argument("--shard-mib", type=int, default=128, help="most MiB of tokens in a shard (default: 128)")
    builder.set_defaults(main=_build)
    looker = kinds.add_parser("inspect", help="say what a corpus holds; every shard is held against its hash", **shown)
    looker.add_argument("place", metavar="SPEC_OR_FOLDER", help="sweep YAML, or the folder or URI of a corpus")
    looker.add_argument("--samples", type=int, default=2, help="rows of either split to decode (default: 2)")
    looker.add_argument("--json", action="store_true", help="one JSON object")
    looker.set_defaults(main=_inspect)


def _build(given: argparse.Namespace) -> int:
    from repro.corpus import build, declared, describe
    from repro.corpus.pool import pool_of

    spec, vocab, sequence, root = declared(given.spec)
    if given.shard_mib < 1:
        raise UserError("shards too small", key="--shard-mib", found=given.shard_mib, expected="1 or more")

    def say(line: str) -> None:
        print(line, flush=True)

    with pool_of(given.workers, given.address) as pool:
        text = build(spec, vocab, sequence, root, progress=say, shard_bytes=given.shard_mib << 20, pool=pool)
    print(describe(text))
    return 0


def _inspect(given: argparse.Namespace) -> int:
    from repro.corpus import describe, obtain
    from repro.corpus.histogram import histogram

    text = _of_sweep(given.place) if given.place.endswith((".yaml", ".yml")) else obtain(given.place)
    text.verify()
    tokens = histogram(text)
    shares = {str(share): tokens.covering(share) for share in (0.5, 0.9, 0.99)}
    top = [(i, text.tokenizer.decode([i]), int(tokens.counts[i])) for i in tokens.most_frequent(20)]
    if not given.json:
        print(describe(text, given.samples))
        print(f"histogram   {tokens.entropy:.2f} bits a token; {tokens.unused:,} of {len(tokens.counts):,} ids unused")
        for share, count in shares.items():
            print(f"{'':<12}{count:,} ids make up {float(share):.0%} of the training tokens")
        for i, token, count in top:
            print(f"{'':<12}{i:>7} {token!r:<20} {count:>15,} {count / tokens.counts.sum():>7.2%}")
        return 0
    manifest = dataclasses.asdict(text.manifest)
    found = {
        "folder": str(text.folder),
        "hash": text.hash,
        "unique_tokens": text.unique_tokens,
        "manifest": manifest,
        "samples": {
            "train": text.samples(text.train, given.samples),
            "heldout": text.samples(text.heldout, given.samples),
        },
        "histogram": {
            "entropy_bits": tokens.entropy,
            "unused": tokens.unused,
            "covering": shares,
            "most_frequent": [{"id": i, "token": token, "count": count} for i, token, count in top],
            "counts": tokens.counts.tolist(),
        },
    }
    print(json.dumps(found))
    return 0


def _of_sweep(file: str) -> Corpus:
    """The corpus of a sweep, where it is built. Raises UserError where it isn't."""
    from repro.corpus import declared, obtain
    from repro.corpus.build import folder_of
    from repro.storage import Folder

    spec, vocab, sequence, root = declared(file)
    folder = folder_of(spec, vocab, sequence, root)
    place = str(folder) if Folder.open(root).is_local else f"{root.rstrip('/')}/{folder.name}"
    if not folder.exists() and not Folder.open(place).exists():
        raise UserError(
            "the corpus isn't built yet",
            file=place,
            found="no such folder",
            expected=f"python -m repro corpus build {file}",
        )
    return obtain(place)
