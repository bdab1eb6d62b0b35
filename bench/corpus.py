"""How fast a corpus is built and read, beside the tokenizer alone and a bare memory copy.

    python -m bench.corpus                        200 MB of text as C4 has it, 2 workers; some minutes
    python -m bench.corpus --megabytes 20 --workers 1

build: tokens/s a core of `python -m repro corpus build SPEC --workers N`, its whole time, Ray's start included; and from
its first line, when Ray has started. Tokens are those in the shards, without the ends of documents that are too long for
a row. tokenizers alone: encode_batch_fast on the first 200 MB of the text, read before and lying in memory, one thread a
process, as many processes at once as the build has workers. Both have the same tokenizer, a BPE of 16,000 trained before
on some of the text; the build encodes a stretch between spaces that occurs again once. peak memory: the sum of the
proportional set sizes of the command and all processes under it, Ray's own and its shared memory among them, looked at
four times a second; so is the processor time, which stays comparable on a machine that does other work.
reader: Corpus.batch over the built rows, against np.copyto of as many bytes between two arrays of the same shape.
"""

from __future__ import annotations

import gzip
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench import made_on, parser
from repro.corpus import Corpus
from repro.corpus.bpe import train_bpe
from repro.corpus.chunked_tokenizer import SLICE_BYTES
from repro.corpus.chunks import by_size
from repro.corpus.packages import PackageSource
from repro.corpus.tokenizer import Tokenizer

VOCAB, SEQUENCE = 16_000, 2048
SAMPLE = 65_000_000  # bytes of gzipped text, about 200 MB, that tokenizers encodes alone
CHANGED = 0.1  # share of a document's words that are replaced by others, so that no two are copies
LAPTOP = 2 * 200_000  # tokens/s that sweeps/laptop.yaml consumes in two lanes, about
SPEC = """
corpus: {{source: files, name: c4-like, paths: ["{paths}"], tokenizer: {tokenizer}, packing: documents}}
model: {{vocab: {vocab}, sequence: {sequence}}}
storage: {{corpus: {root}}}
"""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--megabytes", type=float, default=200, help="of text (default: 200)")
    options.add_argument("--files", type=int, default=16, help="json.gz files (default: 16)")
    options.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    given = options.parse_args()
    print(made_on())
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        paths = write(root / "en", size=int(given.megabytes * 1e6), files=given.files)
        files = sorted((root / "en").iterdir())
        print(
            f"{given.megabytes:,.0f} MB of text in {len(files)} files, {sum(f.stat().st_size for f in files) / 1e6:,.0f} MB gzipped"
        )
        tokenizer = _tokenizer(files[0], root / "tokenizer")
        (root / "spec.yaml").write_text(
            SPEC.format(paths=paths, tokenizer=tokenizer, vocab=VOCAB, sequence=SEQUENCE, root=root / "data")
        )
        folder = _build(root, files, tokenizer, given.workers)
        for batch in (16, 256):
            _read(Corpus(folder), batch)


def write(folder: Path, *, size: int, files: int, package: str = "botocore", level: int = 1) -> str:
    """Writes a folder laid out as C4 "en" is, from the text that a package ships: `files` files of about `size` bytes of text in all; returns the glob that names them. level: of gzip."""
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


def _tokenizer(file: Path, folder: Path) -> Path:
    from transformers import PreTrainedTokenizerFast

    backend = train_bpe([_texts(file)], VOCAB).backend
    PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>").save_pretrained(folder)
    return folder


def _texts(file: Path) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        return [json.loads(line)["text"] for line in stream]


def _build(root: Path, files: list[Path], tokenizer: Path, workers: int) -> Path:
    began = time.perf_counter()
    command = [sys.executable, "-m", "repro", "corpus", "build", str(root / "spec.yaml"), "--workers", str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watch = _Watch(process.pid)
        assert process.stdout
        first = 0.0
        for line in process.stdout:
            if line.startswith("corpus "):
                first = first or time.perf_counter()
                print(f"  {time.perf_counter() - began:6.1f} s  {line}", end="", flush=True)
    ended = time.perf_counter()
    if process.returncode:
        raise SystemExit(f"the build failed with exit code {process.returncode}")
    peak, processes, cpu = watch.ended()
    [folder] = (path for path in (root / "data").iterdir() if (path / "manifest.json").exists())
    counts = Corpus(folder).manifest
    tokens = counts.train.tokens + counts.heldout.tokens
    some = files[: max(workers, len(files) * SAMPLE // sum(file.stat().st_size for file in files))]
    sampled, alone, alone_cpu = _bare(some, tokenizer, 1)
    _, together, _ = _bare(some, tokenizer, workers)
    alone_cpu *= tokens / sampled
    for name, seconds in (("whole command", ended - began), ("from its first line", ended - first)):
        rate = tokens / seconds / workers
        print(
            f"build, {workers} workers, {name:<20} {seconds:7.1f} s  {rate:>12,.0f} tokens/s a core  "
            f"{rate / together:.1%} of tokenizers alone in {workers} processes, {rate / alone:.1%} in one"
        )
    print(
        f"processor time: build {cpu:.1f} s, tokenizers alone {alone_cpu:.1f} s: {alone_cpu / cpu:.1%}, Ray's start included"
    )
    print(f"peak memory {peak / 2**30:.2f} GiB in {processes} processes: driver, workers and Ray together")
    return folder


def _bare(files: list[Path], tokenizer: Path, processes: int) -> tuple[int, float, float]:
    """Tokens in all, tokens/s a process, and seconds of processor time."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(processes), context.Queue()
    work = [
        context.Process(target=_encode, args=(files[i::processes], tokenizer, barrier, queue)) for i in range(processes)
    ]
    for process in work:
        process.start()
    found = [queue.get() for _ in work]
    for process in work:
        process.join()
    tokens = sum(count for count, _, _ in found)
    rate = sum(count / seconds for count, seconds, _ in found) / processes
    print(f"tokenizers alone, {processes} process(es): {tokens:,} tokens, {rate:,.0f} tokens/s a process")
    return tokens, rate, sum(cpu for _, _, cpu in found)


def _encode(files: list[Path], folder: Path, barrier: Any, queue: Any) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    backend = Tokenizer.from_bytes((folder / "tokenizer.json").read_bytes(), 0, 1).backend
    some = list(by_size([text for file in files for text in _texts(file)], len, SLICE_BYTES))
    barrier.wait()
    began, cpu, tokens = time.perf_counter(), time.process_time(), 0
    for texts in some:
        tokens += sum(len(found) + 2 for found in backend.encode_batch_fast(texts, add_special_tokens=False))
    queue.put((tokens, time.perf_counter() - began, time.process_time() - cpu))


class _Watch:
    """What a process and all under it have used: processor time, and the most memory at once."""

    def __init__(self, pid: int):
        self._process, self._over = psutil.Process(pid), threading.Event()
        self._most: dict[int, int] = {}
        self._seconds: dict[int, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def ended(self) -> tuple[int, int, float]:
        """Bytes at most, in how many processes, and seconds."""
        self._over.set()
        self._thread.join()
        return sum(self._most.values()), len(self._most), sum(self._seconds.values())

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            now: dict[int, int] = {}
            with suppress(psutil.Error):  # it has ended
                for process in [self._process, *self._process.children(recursive=True)]:
                    with suppress(psutil.Error):
                        now[process.pid] = int(process.memory_full_info().pss)
                        self._seconds[process.pid] = sum(process.cpu_times()[:2])
            self._most = max(self._most, now, key=lambda sizes: sum(sizes.values()))


def _read(corpus: Corpus, batch: int) -> None:
    steps = max(20, int(2e7 / batch / SEQUENCE))
    corpus.batch(0, batch, seed=0)
    began = time.perf_counter()
    for step in range(steps):
        rows = corpus.batch(step, batch, seed=0)
    rate = steps * rows.size / (time.perf_counter() - began)
    source, target = rows.copy(), np.empty_like(rows)
    began = time.perf_counter()
    for _ in range(steps):
        np.copyto(target, source)
    copy = steps * rows.size / (time.perf_counter() - began)
    print(
        f"reader, {batch} rows of {SEQUENCE + 1}: {rate:,.0f} tokens/s, {rate / copy:.1%} of a bare memory copy's {copy:,.0f}; "
        f"{rate / LAPTOP:,.0f} times what the laptop's sweep consumes"
    )


if __name__ == "__main__":
    main()
