"""A folder laid out as C4 "en" is, made from the text that a package ships: json.gz files of text, timestamp and url."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from repro.corpus.packages import PackageSource

CHANGED = 0.1  # share of a document's words that are replaced by others, so that no two are copies


def write(folder: Path, *, size: int, files: int, package: str = "botocore", level: int = 1) -> str:
    """Writes `files` files of about `size` bytes of text in all; returns the glob that names them. level: of gzip."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = documents(package)
    for number in range(files):
        path = folder / f"c4-train.{number:05d}-of-{files:05d}.json.gz"
        with gzip.GzipFile(path, "wb", level, mtime=0) as stream:
            written = 0
            while written < size / files:
                text = next(texts)
                record = {"text": text, "timestamp": "2019-04-25T12:57:54Z", "url": f"https://example.org/{number}"}
                stream.write(json.dumps(record).encode() + b"\n")
                written += len(text)
    return f"{folder}/c4-train.*.json.gz"


def documents(package: str, seed: int = 0) -> Iterator[str]:
    """Documents without end, about 2 kB in the mean, long ones among them; the package's words again and again."""
    words = [word for document in PackageSource(package).documents() for word in document.text.split(" ")]
    random = np.random.default_rng(seed)
    around = itertools.cycle(words)
    while True:
        some = list(itertools.islice(around, 5 + int(random.lognormal(5.3, 0.8))))
        changed = random.integers(len(some), size=1 + int(CHANGED * len(some)))
        for at, word in zip(changed.tolist(), random.integers(len(words), size=len(changed)).tolist(), strict=True):
            some[at] = words[word]
        yield " ".join(some)
