"""What PyTorch is asked for, counted below autograd: memory that exists at once, and reads that wait for the device."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Allocated(TorchDispatchMode):
    """Bytes of the storages made inside that are alive: now, and at most. Meta tensors count as if they had memory."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._known:
            self._known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


class Reads(TorchDispatchMode):
    """Operations inside, and those of them whose result depends on values, for which a GPU would have to be waited for."""

    WAITING = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "bincount", "unique")

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()
        self._copies = _Copies(self.operations)

    @property
    def waiting(self) -> int:
        return sum(count for name, count in self.operations.items() if name in (*self.WAITING, *_Copies.NAMES))

    def __enter__(self) -> Self:
        self._copies.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._copies.__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations[func.__name__.split(".")[0]] += 1
        return func(*args, **(kwargs or {}))


class _Copies(TorchFunctionMode):
    """Counts the ways to a tensor's values that a CPU's tensor, unlike a GPU's, takes without an operation."""

    NAMES = ("tolist", "numpy", "cpu")

    def __init__(self, operations: Counter[str]) -> None:
        super().__init__()
        self.operations = operations

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if (name := getattr(func, "__name__", "")) in self.NAMES:
            self.operations[name] += 1
        return func(*args, **(kwargs or {}))


def names(operations: Iterable[str], part: str) -> set[str]:
    """Those operations whose name contains `part`."""
    return {name for name in operations if part in name}
