"""`python -m repro corpus build | inspect | verify`: builds, describes and verifies a sweep's token shards."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from repro.errors import UserError

if TYPE_CHECKING:
    from repro.corpus import Corpus

MOST_MIB = 2047  # Arrow counts the tokens of a shard in 31 bits

EXAMPLES = """examples:
  python -m repro corpus build sweeps/quick.yaml                      in this process, with the tokenizer's threads
  python -m repro corpus build sweeps/paper.yaml --workers 64         read and encoded by 64 processes of Ray Data
  python -m repro corpus build sweeps/paper.yaml --address head:6379  by all cores of a cluster
  python -m repro corpus inspect sweeps/quick.yaml                    counts, hashes verified, samples, histogram
  python -m repro corpus inspect data/botocore-v288-s64-0f3e2d1c --json
  python -m repro corpus verify sweeps/quick.yaml --source            every hash, that of the text among them

A killed build is resumed by the next one, from the hidden folder .NAME.build beside the corpus. On a cluster, every
node must see text files and storage.corpus at the same path, or storage.corpus is on an object store.
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    shown = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = verbs.add_parser("corpus", **shown)
    kinds = parser.add_subparsers(dest="kind", required=True)
    builder = kinds.add_parser("build", help="build a sweep's corpus unless it is there, and describe it", **shown)
    builder.add_argument("spec", metavar="SPEC", help="sweep YAML")
    builder.add_argument("--workers", type=int, help="processes of Ray Data (default: this process; a cluster's cores)")
    builder.add_argument(
        "--corpus", metavar="ROOT", help="root of the corpora, instead of the sweep's: a folder or a URI"
    )
    builder.add_argument("--address", metavar="HEAD:PORT", help="Ray cluster to build on")
    builder.add_argument("--shard-mib", type=int, default=128, help="maximum MiB of tokens per shard (default: 128)")
    builder.set_defaults(main=_build)
    looker = kinds.add_parser("inspect", help="describe a corpus, after checking every hash", **shown)
    looker.add_argument("place", metavar="SPEC_OR_FOLDER", help="sweep YAML, or the folder or URI of a corpus")
    looker.add_argument("--samples", type=int, default=2, help="rows of each split to decode (default: 2)")
    looker.add_argument("--json", action="store_true", help="one JSON object")
    looker.set_defaults(main=_inspect)
    checker = kinds.add_parser("verify", help="check every file of a corpus against its hash", **shown)
    checker.add_argument("place", metavar="SPEC_OR_FOLDER", help="sweep YAML, or the folder or URI of a corpus")
    checker.add_argument("--source", action="store_true", help="also read the text from its source again and hash it")
    checker.set_defaults(main=_verify)


def _build(given: argparse.Namespace) -> int:
    from repro.corpus import build, declared, describe, unused
    from repro.corpus.declared import shapes
    from repro.corpus.pool import pool_of

    spec, vocab, sequence, root = declared(given.spec)
    if not 1 <= given.shard_mib <= MOST_MIB:
        raise UserError(
            "a shard size out of range", key="--shard-mib", found=given.shard_mib, expected=f"1 to {MOST_MIB:,}"
        )

    def say(line: str) -> None:
        print(line, flush=True)

    root = given.corpus or root
    with pool_of(given.workers, given.address) as pool:
        text = build(spec, vocab, sequence, root, progress=say, shard_bytes=given.shard_mib << 20, pool=pool)
    print(describe(text))
    if text.manifest.unused is not None:
        print(f"unused      {unused.said(text.manifest.unused, vocab, shapes(given.spec))}")
    return 0


def _inspect(given: argparse.Namespace) -> int:
    from repro.corpus import describe, unused
    from repro.corpus.declared import shapes
    from repro.corpus.histogram import histogram

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


def _of_place(place: str) -> Corpus:
    from repro.corpus import obtain

    return _of_sweep(place) if _is_sweep(place) else obtain(place)


def _is_sweep(place: str) -> bool:
    return place.endswith((".yaml", ".yml"))


def _of_sweep(file: str) -> Corpus:
    """The corpus of a sweep. Raises UserError if it isn't built yet."""
    from repro.corpus import declared, obtain
    from repro.corpus.build import folder_of
    from repro.store.folder import Folder

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
