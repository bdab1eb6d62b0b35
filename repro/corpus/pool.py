"""Who does the work of a build: this process, or workers of Ray Data. What is done is the same, and so is its order."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import pyarrow as pa

from repro import local_ray
from repro.errors import UserError

TASKS = 4096  # at most, in one pass: Ray keeps a record of each
ITEMS = 8  # of a task, where there are many: between two tasks a worker waits for some tenths of a second
ROUNDS = 4  # at least that many tasks a worker, so that they end at about the same time
STORE_BYTES = 100 << 20  # of Ray's object store on this machine: texts and tokens go through files


class Pool(Protocol):
    """Does work on items that are numbers. Its results lie in files, which every worker sees."""

    anywhere: bool  # whether workers may be on other machines

    def map(self, work: Callable[[int], None], items: Sequence[int]) -> Iterator[object]:
        """Does `work` on each item; yields once an item, in their order."""


class Here:
    """This process, one item after the other, none before it is asked for."""

    anywhere = False

    def map(self, work: Callable[[int], None], items: Sequence[int]) -> Iterator[object]:
        return map(work, items)


class RayData:
    """Workers of the Ray cluster that is joined, `workers` at a time."""

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
        context.target_max_block_size = 1 << 20  # a number is all that a task returns: don't wait for room for more
        tasks = min(len(items), TASKS, max(ROUNDS * self.workers, len(items) // ITEMS))
        done = ray.data.from_items(list(items), override_num_blocks=tasks).map(
            _do,  # type: ignore[arg-type]  # which knows of no further arguments
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
    """Each item in order, as soon as it is done; work that an earlier build has done isn't done again."""
    left = [item for item in items if not is_done(item)]
    doing, waited_for = iter(pool.map(work, left)), set(left)
    for item in items:
        if item in waited_for:
            next(doing)
        yield item


@contextmanager
def pool_of(workers: int | None, address: str | None) -> Iterator[Pool]:
    """The pool that a command asks for; a Ray that is started for it ends with it.

    Args:
        workers: of Ray Data; None is this process, or as many as the cluster at `address` has cores.
        address: of a Ray cluster to join; None starts Ray on this machine where workers are asked for.

    Raises:
        UserError: there is no such cluster.
    """
    if workers is None and address is None:
        yield Here()
        return
    if workers is not None and workers < 1:
        raise UserError("too few workers", key="--workers", found=workers, expected="1 or more")
    import ray

    mine = not ray.is_initialized()
    if mine:
        _connect(workers, address)
    try:
        yield RayData(workers or int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if mine:
            local_ray.stop()


def _connect(workers: int | None, address: str | None) -> None:
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    if address:
        env: dict[str, Any] = {}
        if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ:  # else the job has brought the checkout along
            env = {"working_dir": str(local_ray.ROOT), "excludes": ["results", "data", ".venv", ".git"]}
        try:
            if ":" in address and "://" not in address:
                host, _, port = address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself would try for minutes
            ray.init(address=address, runtime_env=env, log_to_driver=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                "the Ray cluster can't be joined",
                key="--address",
                found=f"{address}: {(str(error).splitlines() or [''])[0][:300]}",
                expected="HEAD:PORT of a cluster that runs, and its token (RAY_AUTH_TOKEN_PATH)",
            ) from error
        return
    local_ray.start(workers, object_store_memory=STORE_BYTES)


_works: dict[str, Callable[[int], None]] = {}  # of this worker process: what it has loaded serves its next items


def _do(row: dict[str, Any], work: Callable[[int], None], build: str) -> dict[str, Any]:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a worker is one core's
    if build not in _works:
        pa.set_memory_pool(pa.system_memory_pool())  # which gives back what is freed; Arrow's own keeps it
        _works.clear()
        _works[build] = work
    refused = ""
    try:
        _works[build](int(row["item"]))
    except UserError as error:  # raised where the build goes on, at the first item in order that is refused
        refused = str(error)
    return {"item": row["item"], "refused": refused}
