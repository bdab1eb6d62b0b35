"""Pools that do the work of a build: this process, or workers of Ray Data. Results and their order are the same."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from repro import local_ray
from repro.errors import UserError

TASKS = 4096  # maximum tasks per pass: Ray keeps a record of each
ITEMS = 8  # items per task if there are many: between two tasks a worker waits for tenths of a second
ROUNDS = 4  # minimum tasks per worker, so that workers finish at about the same time
STORE_BYTES = 100 << 20  # size of Ray's object store on this machine; texts and tokens go through files


class Pool:
    """Runs work on numbered items: here in this process, lazily. Results are files that every worker can see."""

    anywhere = False  # whether workers may be on other machines

    def map(self, work: Callable[[int], None], items: Sequence[int]) -> Iterator[object]:
        """Runs `work` on each item; yields once per item, in order."""
        return map(work, items)


class RayPool(Pool):
    """Up to `workers` concurrent workers of the connected Ray cluster."""

    anywhere = True

    def __init__(self, workers: int):
        self.workers = workers

    def map(self, work: Callable[[int], None], items: Sequence[int]) -> Iterator[object]:
        import ray.data

        if not items:
            return
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.target_max_block_size = 1 << 20  # tasks return only numbers: don't wait for room for more
        tasks = min(len(items), TASKS, max(ROUNDS * self.workers, len(items) // ITEMS))
        done = ray.data.from_items(list(items), override_num_blocks=tasks).map(
            _do,  # type: ignore[arg-type]  # its type doesn't allow for fn_kwargs
            fn_kwargs={"work": work, "build": secrets.token_hex(8)},
            compute=ray.data.TaskPoolStrategy(size=min(self.workers, tasks)),
            num_cpus=1,
        )
        for row in done.iter_rows():
            if row["refused"]:
                raise UserError(row["refused"])
            yield row["item"]


def in_order(
    pool: Pool, work: Callable[[int], None], items: Sequence[int], is_done: Callable[[int], bool]
) -> Iterator[int]:
    """Each item in order, as soon as it is done; items that an earlier build has done aren't done again."""
    left = [item for item in items if not is_done(item)]
    doing, waited_for = iter(pool.map(work, left)), set(left)
    for item in items:
        if item in waited_for:
            next(doing)
        yield item


@contextmanager
def pool_of(workers: int | None, address: str | None) -> Iterator[Pool]:
    """The pool that a command requests; a Ray started for it is stopped with it.

    Args:
        workers: number of Ray Data workers; None means this process, or all cores of the cluster at `address`.
        address: address of a Ray cluster to connect to; None starts Ray on this machine if `workers` is given.

    Raises:
        UserError: the cluster can't be reached.
    """
    if workers is None and address is None:
        yield Pool()
        return
    if workers is not None and workers < 1:
        raise UserError("too few workers", key="--workers", found=workers, expected="1 or more")
    import ray

    mine = not ray.is_initialized()
    if mine:
        _connect(workers, address)
    try:
        yield RayPool(workers or int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if mine:
            local_ray.stop()


def _connect(workers: int | None, address: str | None) -> None:
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    if address:
        env: dict[str, Any] = {}
        if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:  # otherwise the job has uploaded the checkout
            env = {"working_dir": str(local_ray.ROOT), "excludes": ["results", "data", ".venv", ".git"]}
        try:
            if ":" in address and "://" not in address:
                host, _, port = address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself would retry for minutes
            ray.init(address=address, runtime_env=env, log_to_driver=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                "the Ray cluster can't be joined",
                key="--address",
                found=f"{address}: {(str(error).splitlines() or [''])[0][:300]}",
                expected="HEAD:PORT of a running cluster, and its token (RAY_AUTH_TOKEN_PATH)",
            ) from error
        return
    local_ray.start(workers, object_store_memory=STORE_BYTES)


_works: dict[str, Callable[[int], None]] = {}  # per worker process: the work, with what it has loaded, by build


def _do(row: dict[str, Any], work: Callable[[int], None], build: str) -> dict[str, Any]:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a worker has one core
    if build not in _works:
        pa.set_memory_pool(pa.system_memory_pool())  # returns freed memory to the system; Arrow's default keeps it
        _works.clear()
        _works[build] = work
    refused = ""
    try:
        _works[build](int(row["item"]))
    except UserError as error:  # raised again in the main process, at the first failed item in order
        refused = str(error)
    return {"item": row["item"], "refused": refused}
