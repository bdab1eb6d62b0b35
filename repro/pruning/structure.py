"""N:M sparsity: of every M neighbouring weights in a row, at least N stay until the last event, and then exactly N.

While density falls, the N best weights of each group are protected and the others compete as usual; the last event
keeps only the protected ones, so that each group ends with N (sparse tensor cores support 2:4).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from repro.pruning.select import Shard, stretch_length

Edge = tuple[int, int]  # global position, key
Exchange = Callable[[list[Edge]], list[Edge]]


def best_of_groups(shards: list[Shard], n: int, m: int, exchange: Exchange) -> list[torch.Tensor]:
    """Flags of the `n` largest alive keys in each group of `m` neighbours; ties go to the first.

    Args:
        shards: this rank's shards; a group may begin on one rank and end on another.
        exchange: joins the lists of all ranks; they are short, with only the groups that shard boundaries cut.

    Returns:
        (count,) bool for each shard.
    """
    flags = [torch.zeros(s.count, dtype=torch.bool, device=s.alive.device) for s in shards]
    cut: list[Edge] = []
    for shard, flag in zip(shards, flags, strict=True):
        head, tail = _ends(shard, m)
        step = m * max(1, stretch_length(shard.alive.device) // m)
        for a in range(head, shard.count - tail, step):
            b = min(shard.count - tail, a + step)
            flag[a:b] = _best(shard.alive_keys(a, b).view(-1, m), n).view(-1)
        for a, b in ((0, head), (shard.count - tail, shard.count)):
            if a < b:
                cut += zip(range(shard.position + a, shard.position + b), shard.alive_keys(a, b).tolist(), strict=True)
    keys = dict(exchange(cut))
    for shard, flag in zip(shards, flags, strict=True):
        head, tail = _ends(shard, m)
        best: dict[int, torch.Tensor] = {}
        for i in [*range(head), *range(shard.count - tail, shard.count)]:
            first = (shard.position + i) // m * m
            if first not in best:
                best[first] = _best(torch.tensor([[keys[p] for p in range(first, first + m)]]), n)[0]
            flag[i] = best[first][shard.position + i - first]
    return flags


def _ends(shard: Shard, m: int) -> tuple[int, int]:
    """Number of weights at either end that belong to incomplete groups."""
    head = min(shard.count, -shard.position % m)
    return head, (shard.count - head) % m


def _best(keys: torch.Tensor, n: int) -> torch.Tensor:
    """(G, m) keys -> (G, m) bool. A weight's rank is the number of larger keys plus equal keys before it."""
    ranks = torch.zeros(keys.shape, dtype=torch.uint8, device=keys.device)
    for i in range(keys.shape[1]):
        for j in range(keys.shape[1]):
            if i != j:
                ranks[:, i] += (keys[:, j] >= keys[:, i]) if j < i else (keys[:, j] > keys[:, i])
    return (ranks < n) & (keys >= 0)
