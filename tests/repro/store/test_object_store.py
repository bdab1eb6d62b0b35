"""Files of an object store, read while others write them."""

from __future__ import annotations

import threading

import pytest

from repro.store.folder import Folder
from tests.stores import BUCKET, s3

pytestmark = pytest.mark.slow


def test_json_that_is_replaced_while_it_is_read_is_whole() -> None:
    with s3():
        folder, over = Folder.open(f"s3://{BUCKET}/run"), threading.Event()
        folder.write_json("status.json", {"step": 0})

        def replace() -> None:
            mine, step = Folder.open(f"s3://{BUCKET}/run"), 0
            while not over.is_set():
                step += 1
                mine.write_json("status.json", {"step": step, "facts": "x" * (997 * step % 5000)})

        writer = threading.Thread(target=replace)
        writer.start()
        try:
            assert all(folder.read_json("status.json")["step"] >= 0 for _ in range(40))
        finally:
            over.set()
            writer.join()
