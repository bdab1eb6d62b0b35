"""What it costs a run to hold every row that it reads against the manifest's hashes: repro/corpus/checks.py.

    python -m bench.verify                 two made-up corpora, a minute; needs 1.1 GB of disk for the larger
    python -m bench.verify --gigabytes 4

Corpora of random tokens in shards as a build writes them. In processor time of one core: `first`, reading each group of
rows once, which a process does once in its life, whatever number of runs it trains; `steady`, what Corpus.batch takes
for a step more than the rows alone, gathered from the mapped files without a check; `last`, the look at the files before
a run counts as done. Shares are of the time in which a run trains on as many tokens: at the laptop's rate of a lane,
batches of 32 rows of 32 + 1 tokens, and at that of a 468M model on an H100, taken as 100,000 tokens/s, 64 rows of 2,048 + 1.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from bench import made_on, parser
from repro.corpus.order import rows_at
from repro.corpus.packing import token_dtype
from repro.corpus.shards import SHARD_BYTES, ShardWriter, TokenRows

STEPS = 2000
# name, vocabulary, sequence, batch, tokens/s, size as a share of the largest
CASES = (("laptop", 128, 32, 32, 200_000, 0.02), ("468M on an H100", 16_000, 2048, 64, 100_000, 1.0))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--gigabytes", type=float, default=1, help="of tokens in the larger corpus (default: 1)")
    given = options.parse_args()
    print(made_on())
    for name, vocab, sequence, batch, rate, share in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            rows = _written(Path(scratch), vocab, sequence, int(given.gigabytes * 1e9 * share))
            _measure(name, rows, sequence, batch, rate)


def _written(folder: Path, vocab: int, sequence: int, size: int) -> TokenRows:
    dtype = token_dtype(vocab)
    width = sequence + 1
    writer = ShardWriter(folder, "train", width, dtype, SHARD_BYTES // (width * dtype.itemsize))
    random = np.random.default_rng(0)
    for _ in range(max(1, size // (1 << 24))):
        writer.add(random.integers(0, vocab, ((1 << 24) // (width * dtype.itemsize), width), dtype))
    return TokenRows(folder, writer.close(), width)


def _measure(name: str, rows: TokenRows, sequence: int, batch: int, rate: float) -> None:
    count, step = len(rows), batch * sequence / rate
    views = rows.views
    size = sum(view.nbytes for view in views)
    for view in views:
        _ = view[::64].sum()  # so that the pages are there for either side

    per_group = rows.shards[0].group_rows or 1
    began = time.process_time()
    for first in range(0, count, per_group):
        rows.take(np.array([first]))
    first_time = time.process_time() - began

    orders = [rows_at(at, batch, count, 0) for at in range(STEPS)]
    checked, bare = [], []
    for _ in range(3):
        began = time.process_time()
        for order in orders:
            rows.take(order)
        checked.append(time.process_time() - began)
        began = time.process_time()
        for order in orders:
            _gathered(rows, order)
        bare.append(time.process_time() - began)
    steady = (min(checked) - min(bare)) / STEPS
    began = time.process_time()
    rows.recheck()
    last = time.process_time() - began
    print(
        f"{name}: {size / 1e6:,.0f} MB in {len(views)} shards, steps of {1e3 * step:.1f} ms\n"
        f"  first   {first_time:.3f} s of a process' life, {size / first_time / 1e9:.2f} GB/s: "
        f"{first_time / (count * sequence / rate):.3%} of one epoch's training\n"
        f"  steady  {1e6 * steady:.0f} microseconds a step, beside {1e6 * min(bare) / STEPS:.0f} of reading: {steady / step:.3%} of it\n"
        f"  last    {1e3 * last:.2f} ms a run"
    )


def _gathered(rows: TokenRows, indices: np.ndarray) -> np.ndarray:
    """What TokenRows.take did before it checked anything."""
    ends = np.cumsum([len(view) for view in rows.views])
    shard_of = np.searchsorted(ends, indices, side="right")
    found = np.empty((len(indices), rows.views[0].shape[1]), rows.views[0].dtype)
    for number in np.unique(shard_of):
        here = shard_of == number
        found[here] = rows.views[number][indices[here] - (ends[number] - len(rows.views[number]))]
    return found


if __name__ == "__main__":
    main()
