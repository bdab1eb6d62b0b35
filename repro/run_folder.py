"""RunFolder: the files by which a run says what it is and where it stands.

State lives here and nowhere else: `done` is skipped, `failed` is tried again, a `running` whose owner is
dead is taken over, and deleting the folder asks for the run again.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from typing import Any, Literal

from repro import spec as specs
from repro.errors import UserError
from repro.spec import RunSpec
from repro.storage import Folder

State = Literal["queued", "running", "done", "failed"]


class RunFailed(Exception):
    """A run that can't end well: it is marked `failed` with this reason and the sweep goes on."""


class Stopped(Exception):
    """A run that was asked to stop: its checkpoint is saved, it is `queued` and goes on from there."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, `results/SWEEP/runs/RUN_ID`."""

    folder: Folder

    def status(self) -> dict[str, Any]:
        """At least `state`; with `reason` when failed; `step`, `total_steps`, `workers`, `tokens_per_second`, `mfu` at work.

        Of one that was begun more than once `attempts`, and `before`: how the last attempt ended.
        """
        return self.folder.read_json("status.json") if self.folder.exists("status.json") else {"state": "queued"}

    def spec(self) -> tuple[RunSpec, str]:
        """The spec that is trained here, and the hash of its corpus.

        Raises:
            UserError: no run has begun here.
        """
        if not self.folder.exists("spec.json"):
            raise UserError("no run has begun here", file=f"{self.folder}/spec.json", expected="a run's folder")
        kept = self.folder.read_json("spec.json")
        return specs.from_kept(kept, file=f"{self.folder}/spec.json"), kept["corpus_hash"]

    def is_done(self, spec: RunSpec, corpus_hash: str | None = None) -> bool:
        """Whether this very spec has been trained here; on this very text, when its hash is given.

        Raises:
            UserError: the folder holds another spec under the same id, or was begun on other text.
        """
        if not self.folder.exists("spec.json"):
            return False
        kept = self.folder.read_json("spec.json")
        found = kept.get("fingerprint")
        if found != spec.fingerprint:
            raise UserError(
                f"two specs with one id: {spec.run_id}",
                file=f"{self.folder}/spec.json",
                key="fingerprint",
                found=found,
                expected=f"{spec.fingerprint}, of the run declared now; give one another id or another results folder",
            )
        if corpus_hash is not None and kept.get("corpus_hash") != corpus_hash:
            raise UserError(
                f"the text has changed since {spec.run_id} was trained",
                file=f"{self.folder}/spec.json",
                key="corpus_hash",
                found=kept.get("corpus_hash"),
                expected=f"{corpus_hash}, of the text there is now; name another results folder",
            )
        return self.status()["state"] == "done"

    def declare(self, spec: RunSpec, corpus_hash: str) -> None:
        """Says what is trained here; nobody does so yet."""
        self.folder.write_json(
            "spec.json", {**spec.to_dict(), "fingerprint": spec.fingerprint, "corpus_hash": corpus_hash}
        )

    def begin(self, spec: RunSpec, corpus_hash: str) -> None:
        self.declare(spec, corpus_hash)
        last = self.status()
        again: dict[str, Any] = {}
        if last["state"] != "queued":
            ended = last["reason"] if last["state"] == "failed" else "stopped, or its process died"
            again = {"attempts": last.get("attempts", 1) + 1, "before": ended}
        self.progress("running", step=0, total_steps=spec.schedule.total_steps, began=time.time(), **again)

    def progress(self, state: State, **facts: Any) -> None:
        """Writes the status: who is at work, since when, how often it was begun, and the facts given."""
        owner = {"host": socket.gethostname(), "pid": os.getpid()}
        last = self.status()
        kept = {"began": last.get("began")} | {key: last[key] for key in ("attempts", "before") if key in last}
        self.folder.write_json("status.json", {"state": state, **kept, **facts, "owner": owner, "updated": time.time()})
