"""`python -m repro corpus build | inspect | verify`: builds, describes and verifies a sweep's token shards."""

from __future__ import annotations

import argparse
import dataclasses
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from repro.console import commands
from repro.console.options import ADDRESS, CORPUS_ROOT, JSON, SWEEP
from repro.errors import UserError

if TYPE_CHECKING:
    from repro.corpus import Corpus

MOST_MIB = 2047  # Arrow counts the tokens of a shard in 31 bits

EXAMPLES = (
    ("build sweeps/quick.yaml", "build a sweep's corpus, or find it built"),
    ("inspect sweeps/quick.yaml", "count and sample what is in it"),
)
BUILD_EXAMPLES = (
    ("sweeps/quick.yaml", "in this process, with the tokenizer's threads"),
    ("sweeps/paper.yaml --workers 64", "read and encoded by 64 processes of Ray Data"),
)
INSPECT_EXAMPLES = (
    ("sweeps/quick.yaml", "counts, samples, and how often each token occurs"),
    ("sweeps/quick.yaml --json", "the same for a program"),
)
VERIFY_EXAMPLES = (
    ("sweeps/quick.yaml", "the tokenizer and the shards"),
    ("sweeps/quick.yaml --source", "the text that they were made of, too"),
)
BUILD_NOTES = """\
A build that was killed is resumed by the next one, from the hidden folder .NAME.build beside the corpus. On a cluster,
every node must see text files and storage.corpus at the same path, unless storage.corpus is on an object store.
"""


def add_parser(verbs: Any) -> None:
    parser = commands.add(
        verbs,
        "corpus",
        "Builds a sweep's text as token shards, describes it, or checks it against its hashes.",
        EXAMPLES,
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="WHAT", prog=parser.prog)
    builder = commands.add(
        kinds,
        "build",
        "Builds a sweep's corpus, unless it is there, and describes it.",
        BUILD_EXAMPLES,
        notes=BUILD_NOTES,
        line="build a sweep's corpus, unless it is there, and describe it",
    )
    SWEEP.add(builder)
    builder.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes of Ray Data (default: this process, or all cores of --address)",
    )
    CORPUS_ROOT.add(builder, default_is="the sweep's storage.corpus")
    ADDRESS.add(builder, default_is="none, this machine")
    builder.add_argument(
        "--shard-mib",
        type=int,
        default=128,
        metavar="MIB",
        help="largest size of a shard, in MiB (default: %(default)s)",
    )
    builder.set_defaults(main=_build)
    looker = commands.add(
        kinds,
        "inspect",
        "Describes a corpus after it has checked every hash: counts, samples, a histogram.",
        INSPECT_EXAMPLES,
        line="describe a corpus, after every hash was checked",
    )
    looker.add_argument(
        "--samples", type=int, default=2, metavar="N", help="rows of each split to print as text (default: %(default)s)"
    )
    JSON.add(looker)
    looker.set_defaults(main=_inspect)
    checker = commands.add(
        kinds,
        "verify",
        "Checks every file of a corpus against its hash.",
        VERIFY_EXAMPLES,
        line="check every file of a corpus against its hash",
    )
    checker.add_argument(
        "--source", action="store_true", help="also read the text from its source again and check its hash"
    )
    checker.set_defaults(main=_verify)
    for one in (looker, checker):
        one.add_argument("place", metavar="CORPUS", help="sweep file, or the folder or URI of a corpus")


def _build(given: argparse.Namespace) -> int:
    from repro.corpus import build, declared, describe, unused
    from repro.corpus.declared import shapes
    from repro.corpus.pool import pool_of

    spec, vocab, sequence, root = declared(given.file)
    if not 1 <= given.shard_mib <= MOST_MIB:
        raise UserError(
            "a shard size out of range", key="--shard-mib", found=given.shard_mib, expected=f"1 to {MOST_MIB:,}"
        )
    say, root = partial(print, flush=True), given.corpus or root
    with pool_of(given.workers, given.address) as pool:
        text = build(spec, vocab, sequence, root, progress=say, shard_bytes=given.shard_mib << 20, pool=pool)
    print(describe(text))
    if text.manifest.unused is not None:
        print(f"unused      {unused.said(text.manifest.unused, vocab, shapes(given.file))}")
    return 0


def _inspect(given: argparse.Namespace) -> int:
    from repro.corpus import describe, unused
    from repro.corpus.declared import shapes
    from repro.corpus.shards import histogram

    if given.samples < 0:
        raise UserError("a negative number of samples", key="--samples", found=given.samples, expected="0 or more")
    text = _of_place(given.place)
    text.verify()
    tokens = histogram(text.train, text.manifest.vocab)
    sizes = shapes(given.place) if _is_sweep(given.place) else {}
    shares = {str(share): tokens.covering(share) for share in (0.5, 0.9, 0.99)}
    top = [(i, text.tokenizer.decode([i]), int(tokens.counts[i])) for i in tokens.most_frequent(20)]
    if not given.json:
        print(describe(text, given.samples))
        print(f"unused      {unused.said(tokens.unused, len(tokens.counts), sizes)}")
        print(f"histogram   {tokens.entropy:.2f} bits a token")
        for share, count in shares.items():
            print(f"{'':<12}{count:,} ids make up {float(share):.0%} of the training tokens")
        for i, token, count in top:
            print(f"{'':<12}{i:>7} {token!r:<20} {count:>15,} {count / tokens.counts.sum():>7.2%}")
        return 0
    found = {
        "folder": str(text.folder),
        "hash": text.hash,
        "unique_tokens": text.unique_tokens,
        "manifest": dataclasses.asdict(text.manifest),
        "samples": {
            "train": text.samples(text.train, given.samples),
            "heldout": text.samples(text.heldout, given.samples),
        },
        "histogram": {
            "entropy_bits": tokens.entropy,
            "unused": tokens.unused,
            "unused_share": unused.shares(tokens.unused, sizes),
            "covering": shares,
            "most_frequent": [{"id": i, "token": token, "count": count} for i, token, count in top],
            "counts": tokens.counts.tolist(),
        },
    }
    print(json.dumps(found))
    return 0


def _verify(given: argparse.Namespace) -> int:
    from repro.corpus.sources import text_sha256

    text = _of_place(given.place)
    text.verify()
    manifest = text.manifest
    shards = len(manifest.train.shards) + len(manifest.heldout.shards)
    print(
        f"{text.folder}: corpus {text.hash}; tokenizer, {shards} shard(s) and all their rows are as the manifest says"
    )
    if given.source:
        found = text_sha256(manifest.spec)
        if found != manifest.text_sha256:
            raise UserError(
                "the source's text has changed",
                file=f"{manifest.spec.source} {manifest.spec.name}",
                key="text_sha256",
                found=found,
                expected=f"{manifest.text_sha256}, of the corpus in {text.folder}",
            )
        print(f"source: sha256 {found}, as the manifest says")
    return 0


def _is_sweep(place: str) -> bool:
    return place.endswith((".yaml", ".yml"))


def _of_place(given: str) -> Corpus:
    """A corpus, or that of a sweep. Raises UserError if it isn't built yet."""
    from repro.corpus import declared, obtain
    from repro.corpus.build import folder_of
    from repro.store.folder import Folder

    if not _is_sweep(given):
        return obtain(given)
    spec, vocab, sequence, root = declared(given)
    folder = folder_of(spec, vocab, sequence, root)
    place = str(folder) if Folder.open(root).is_local else f"{root.rstrip('/')}/{folder.name}"
    if not folder.exists() and not Folder.open(place).exists():
        expected = f"python -m repro corpus build {given}"
        raise UserError("the corpus isn't built yet", file=place, found="no such folder", expected=expected)
    return obtain(place)
