"""What one pruning event's selection costs: ours beside torch.kthvalue and torch.topk on gathered weights.

    python -m bench.prune                                      1e6, 1e7, 1e8 weights on 1, 2, 4 ranks; ours at 1e9
    python -m bench.prune --sizes 1e5 --ranks 1,2 --largest 0  a quick look
    python -m bench.prune --device cuda --ranks 1              on one GPU

Normal fp32 weights, .5 kept after an event that left .7 (the removed are zero). Ranks are processes (gloo, or nccl and
a GPU each) of --threads threads, 1 as in a lane; more ranks than cores share them; cuts fall inside a byte. The rivals
are spared a padded or second copy in their gather (irecv into one tensor on rank 0), topk's sort, and packing: they
end with a bool mask. Telling each rank the others' masks, one bit per weight, is counted for none. Of ties at the
threshold ours keeps as many as asked, kthvalue (>) none, topk (taken as a threshold, >=) all.

ms: slowest rank from a barrier to its result; methods interleaved in one set of processes, after a small warm-up.
extra MB: worst rank, once in fresh processes, beyond weights, one bit per weight and libraries. CPU (Linux): VmHWM, reset
before, less RSS, heap trimmed; gloo's buffers count, 1 MB is noise. GPU: max_memory_allocated.
bytes sent by all ranks: all_reduce of B, a ring's 2 (R - 1) B; gather, 4 a weight sent; broadcast of B, (R - 1) B.
"""

from __future__ import annotations

import ctypes
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from bench import made_on, parser
from repro.pruning.masks import Masks, packed, unpacked
from repro.pruning.scores import ordered
from repro.pruning.select import Shard, keep_largest, stretch_length
from repro.training import device_memory
from repro.training.masters import Part

EARLIER, KEPT, CHECKED = 0.7, 0.5, 100_003
HEAD = "      weights ranks  method                    ms [min, max]  extra MB         bytes  x ours  kept - asked"
LINE = "{:>13,} {:>5}  {:<8} {:>30} {:>9,.1f} {:>13,} {:>7.2f} {:>+13,}"


class Share:
    """One rank's weights after the earlier event; the bits in `alive` begin at the first weight's byte."""

    def __init__(self, rank: int, ranks: int, total: int, weights: Callable[[int, int], torch.Tensor]):
        self.rank, self.ranks, self.total, self.sent = rank, ranks, total, 0
        self.cuts = [0, *(total * r // ranks | 1 for r in range(1, ranks)), total]
        self.first, end = self.cuts[rank : rank + 2]
        self.weights = weights(self.first, end)
        offset, step = self.first % 8, stretch_length(self.weights.device)
        masks = Masks.all_kept({"w": torch.Size([offset + end - self.first])}, self.weights.device)
        self.alive = masks.bits("w")
        left = ours(self, round(EARLIER * total))
        for a in range(0, end - self.first, step):
            stays = unpacked(left, a, min(end - self.first - a, step))
            self.weights[a : a + step] *= stays
            masks.scatter(packed(stays), [Part("w", offset + a, 0, len(stays))])

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        dist.all_reduce(tensor)
        self.sent += 2 * (self.ranks - 1) * tensor.nbytes // self.ranks
        return tensor

    def gathered(self, threshold: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """|w| of this rank, and what `threshold` makes of |w| of all, on rank 0."""
        if self.rank:
            magnitudes, found = self.weights.abs(), self.weights.new_empty(())
            dist.send(magnitudes, 0)
            self.sent += magnitudes.nbytes
        else:
            whole = self.weights.new_empty(self.total)
            arriving = [dist.irecv(whole[self.cuts[r] : self.cuts[r + 1]], r) for r in range(1, self.ranks)]
            magnitudes = torch.abs(self.weights, out=whole[: self.cuts[1]])
            for part in arriving:
                assert part is not None  # None is what a rank outside of the group is given
                part.wait()
            found = threshold(whole)
            self.sent += found.nbytes * (self.ranks - 1)
        dist.broadcast(found, 0)
        return magnitudes, found


def ours(s: Share, keep: int) -> torch.Tensor:
    shard = Shard(s.first, len(s.weights), lambda a, b: ordered(s.weights[a:b]), s.alive, s.first % 8)
    return keep_largest([shard], keep, s.all_reduce, s.weights.device)[0]


METHODS: dict[str, Callable[[Share, int], torch.Tensor]] = {
    "ours": ours,
    "kthvalue": lambda s, keep: torch.gt(*s.gathered(lambda whole: whole.kthvalue(s.total - keep).values)),
    "topk": lambda s, keep: torch.ge(*s.gathered(lambda whole: whole.topk(keep, sorted=False).values.min())),
}


def _rank(at: int, case: tuple[Any, ...], scratch: str) -> None:
    total, ranks, kind, threads, repeats, methods = case  # no total: only check; no repeats: memory
    torch.set_num_threads(threads)
    device = torch.device(kind, at) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group({"cuda": "nccl", "cpu": "gloo"}[kind], f"file://{scratch}/store", rank=at, world_size=ranks)
    # Also the warm-up: without ties, all methods keep what a full ordering keeps.
    order = torch.randperm(CHECKED, generator=torch.Generator().manual_seed(0)).to(device) + 1
    small = Share(at, ranks, CHECKED, lambda a, b: (order * (1 - order % 2 * 2) / 2**20)[a:b])
    expected = packed(order[small.first : small.cuts[at + 1]] > CHECKED - round(KEPT * CHECKED))
    found, bits = _times(small, 1, tuple(METHODS))
    if wrong := [name for name in METHODS if not torch.equal(bits[name], expected)]:
        raise RuntimeError(f"other weights than in a full ordering are kept by {wrong}, rank {at} of {ranks}")
    if total:
        torch.manual_seed(at)
        s = Share(at, ranks, total, lambda a, b: torch.randn(b - a, device=device))
        found = _times(s, repeats, methods)[0] if repeats else {"peak": _peak(s, methods[0])}
    (Path(scratch) / str(at)).write_text(json.dumps(found))
    dist.destroy_process_group()


def _times(s: Share, repeats: int, methods: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    found: dict[str, Any] = {name: {"ms": []} for name in methods}
    bits, wait = {}, torch.cuda.synchronize if s.weights.is_cuda else lambda: None
    for name in methods * repeats:
        s.sent = 0
        dist.barrier()
        began = time.perf_counter()
        kept = METHODS[name](s, round(KEPT * s.total))
        wait()
        found[name]["ms"].append(1e3 * (time.perf_counter() - began))
        bits[name] = packed(kept) if kept.dtype == torch.bool else kept
        found[name] |= {"sent": s.sent, "kept": int(unpacked(bits[name], 0, len(s.weights)).sum())}
    if len(bits) > 1 and ((bits["kthvalue"] & ~bits["ours"]) | (bits["ours"] & ~bits["topk"])).any():
        raise RuntimeError("the methods differ in more than ties")
    return found, bits


def _peak(s: Share, name: str) -> float:
    device = s.weights.device
    if device.type == "cpu":
        ctypes.CDLL(None).malloc_trim(0)
    device_memory.begin_peak(device)
    before = torch.cuda.memory_allocated() if s.weights.is_cuda else psutil.Process().memory_info().rss
    METHODS[name](s, round(KEPT * s.total))
    return (device_memory.peak(device) - before) / 1e6


def _spawn(case: tuple[Any, ...]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        mp.spawn(_rank, (case, scratch), nprocs=case[1])
        return [json.loads((Path(scratch) / str(rank)).read_text()) for rank in range(case[1])]


def _measure(case: tuple[Any, ...]) -> None:
    found, first = _spawn(case), 0.0
    for name in case[-1]:
        peak = max(rank["peak"] for rank in _spawn((*case[:4], 0, (name,))))
        ms = [max(ranks) for ranks in zip(*(rank[name]["ms"] for rank in found), strict=True)]
        sent, kept = (sum(rank[name][key] for rank in found) for key in ("sent", "kept"))
        middle, off = statistics.median(ms), kept - round(KEPT * case[0])
        first = first or middle
        times = f"{middle:,.1f} [{min(ms):,.1f}, {max(ms):,.1f}]"
        print(LINE.format(case[0], case[1], name, times, peak, sent, middle / first, off), flush=True)
        if name == "ours" and case[1] == 2:
            print(f"{'':>13} ours on 2 ranks moves {sent:,} bytes: {'under' if sent < 1e6 else 'NOT UNDER'} 1 MB")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sizes", default="1e6,1e7,1e8", help="weights (default: %(default)s)")
    options.add_argument("--ranks", default="1,2,4", help="processes (default: %(default)s)")
    options.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    options.add_argument("--repeats", type=int, default=3, help="timed runs a method (default: 3)")
    options.add_argument("--threads", type=int, default=1, help="torch threads a rank (default: 1)")
    options.add_argument("--largest", default="1e9", help="weights, ours alone on one rank; 0: none (default: 1e9)")
    given = options.parse_args()
    gpus = torch.cuda.device_count()
    device = given.device if given.device != "auto" else "cuda" if gpus else "cpu"
    print(made_on())
    usable = [int(ranks) for ranks in given.ranks.split(",") if device == "cpu" or int(ranks) <= gpus]
    for ranks in usable:
        _spawn((0, ranks, device, given.threads, 0, ()))
        print(f"{ranks} ranks: without ties, ours, kthvalue and topk keep what a sort keeps")
    short = "" if device == "cpu" else f"; of {given.ranks} ranks those beyond {gpus}, the GPUs here, are skipped"
    print(f"{device}, {given.threads} torch threads a rank{short}\n{HEAD}")
    cases = [(int(float(size)), ranks, tuple(METHODS)) for size in given.sizes.split(",") for ranks in usable]
    cases += [(int(float(given.largest)), 1, ("ours",))] * (float(given.largest) > 0 and len(usable) > 0)
    for total, ranks, methods in cases:
        need = total * (40 if len(methods) > 1 else 10) + (2**32 if device == "cuda" else 0)
        free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
        if free >= need:
            _measure((total, ranks, device, given.threads, given.repeats, methods))
        else:
            print(f"{total:>13,} {ranks:>5}  skipped: {need / 1e9:.1f} GB needed, {free / 1e9:.1f} free")


if __name__ == "__main__":
    main()
