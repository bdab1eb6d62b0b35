"""A Ray of this machine alone, which ends with this process."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def start(cores: int | None, **options: Any) -> None:
    """Starts it with so many CPUs, None being all; its workers import this checkout. options: of `ray.init`."""
    import ray

    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    for again in (True, True, False):
        try:
            ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **options,
            )
            return
        except Exception as error:
            # Ray waits for 30 s, which a machine that is busy with other work may exceed.
            if not again or "timed out during startup" not in str(error):
                raise
            ray.shutdown()
