"""RunFolder: the spec and status files of a run.

All state is in these files: a `done` run is skipped, a `failed` one is retried, a `running` one whose owner
is dead is taken over, and deleting the folder makes the run start again.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from repro import spec as specs
from repro import tables
from repro.errors import UserError
from repro.spec import RunSpec
from repro.store import processes
from repro.store.folder import Folder
from repro.store.status import State, fault_of, stamp

KEPT_ERRORS = 10
PARTS = ("run.parquet", "curve.parquet", "layers.parquet")  # the tables of a finished run


class RunFailed(Exception):
    """A run failed permanently: it is marked `failed` with this reason and the sweep continues."""


class Stopped(Exception):
    """A run stopped on request: a checkpoint is saved, and the run is `queued` to resume from it."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, `results/SWEEP/runs/RUN_ID`."""

    folder: Folder

    def status(self) -> dict[str, Any]:
        """The run's status, with at least `state`.

        Failed runs have a `reason`; running ones `step`, `total_steps`, `workers`, `tokens_per_second` and `mfu`. Runs
        started more than once have `attempts` and `before`, how the last attempt ended. Finished runs have `identity`
        (spec and corpus) and `tables`, the hashes of their tables. With a damaged file the run counts as failed, for
        that reason and with `damaged` set: the next driver resumes it from its last checkpoint.
        """
        if not self.folder.exists("status.json"):
            return {"state": "queued"}
        try:
            found = self.folder.read_json("status.json")
            fault = fault_of(found)
        except UserError as error:
            found, fault = {}, str(error).splitlines()[0]
        if fault is None:
            return found
        return {"state": "failed", "reason": f"status.json is damaged: {fault}", "updated": 0.0, "damaged": True}

    def spec(self) -> tuple[RunSpec, str]:
        """The run's spec, and the hash of its corpus.

        Raises:
            UserError: no run has begun here, or its spec.json is damaged.
        """
        file = f"{self.folder}/spec.json"
        if not self.folder.exists("spec.json"):
            raise UserError("no run has begun here", file=file, expected="a run's folder")
        kept = self.folder.read_json("spec.json")
        if not isinstance(kept, dict) or not isinstance(kept.get("corpus_hash"), str):
            raise UserError("not the spec of a run", file=file, key="corpus_hash", expected="a run's spec.json")
        spec = specs.from_kept(kept, file=file)
        if kept.get("fingerprint") != spec.fingerprint:
            raise UserError(
                "the spec doesn't match its fingerprint: it was altered",
                file=file,
                key="fingerprint",
                found=repr(kept.get("fingerprint"))[:80],
                expected=spec.fingerprint,
            )
        return spec, kept["corpus_hash"]

    def is_done(self, spec: RunSpec, corpus_hash: str | None = None) -> bool:
        """Whether this exact spec has been trained here to its end, on the corpus with this hash if given.

        Raises:
            UserError: the folder has another spec with the same id, or was begun on another corpus.
        """
        found = self.begun_with(spec, corpus_hash)
        return found is not None and self.status()["state"] == "done" and self.fault(spec, found) is None

    def begun_with(self, spec: RunSpec, corpus_hash: str | None = None) -> str | None:
        """The hash of the corpus on which this exact spec was begun here; None if nothing has begun.

        Raises:
            UserError: the folder has another spec with the same id, or was begun on another corpus than `corpus_hash`.
        """
        if not self.folder.exists("spec.json"):
            return None
        kept, trained_on = self.spec()
        if kept.fingerprint != spec.fingerprint:
            raise UserError(
                f"two different specs with one id: {spec.run_id}",
                file=f"{self.folder}/spec.json",
                key="fingerprint",
                found=kept.fingerprint,
                expected=f"{spec.fingerprint}, of the run declared now; use another id or another results folder",
            )
        if corpus_hash not in (None, trained_on):
            expected = f"{corpus_hash}, of the current text; use another results folder"
            raise changed_text(f"{spec.run_id} was trained", f"{self.folder}/spec.json", trained_on, expected)
        return trained_on

    def fault(self, spec: RunSpec, corpus_hash: str) -> str | None:
        """Why a run with status `done` isn't: its tables are missing, altered, or of another run. None if it is done."""
        status = self.status()
        if status.get("identity", spec.identity(corpus_hash)) != spec.identity(corpus_hash):
            return "status.json is of another run"
        hashes = status.get("tables", {})  # missing from older versions
        for name in PARTS:
            if not self.folder.exists(name):
                return f"no {name}"
            if name in hashes and hashlib.sha256(self.folder.read(name)).hexdigest() != hashes[name]:
                return f"{name} is not what the run wrote"
        try:
            rows = tables.read(self.folder, "run.parquet", "runs").select(["fingerprint", "corpus_hash"]).to_pylist()
        except UserError as error:
            return f"run.parquet: {str(error).splitlines()[0]}"
        if rows != [{"fingerprint": spec.fingerprint, "corpus_hash": corpus_hash}]:
            return "run.parquet is of another run"
        return None

    def declare(self, spec: RunSpec, corpus_hash: str) -> None:
        """Writes spec.json, before training begins."""
        self.folder.write_json(
            "spec.json", {**spec.to_dict(), "fingerprint": spec.fingerprint, "corpus_hash": corpus_hash}
        )

    def begin(self, spec: RunSpec, corpus_hash: str) -> None:
        self.declare(spec, corpus_hash)
        last = self.status()
        again: dict[str, Any] = {}
        if last["state"] != "queued":
            ended = last["reason"] if last["state"] == "failed" else f"stopped, or its process died{self._errors()}"
            again = {"attempts": last.get("attempts", 1) + 1, "before": ended}
        self.progress("running", step=0, total_steps=spec.schedule.total_steps, began=time.time(), **again)

    def _errors(self) -> str:
        errors = (self.folder / "errors").names()
        return f"; traceback in {self.folder}/errors/{errors[-1]}" if errors else ""

    def progress(self, state: State, **facts: Any) -> None:
        """Writes the status: owner, start time, attempts, and the given facts."""
        last = self.status()
        kept = {"began": last.get("began")} | {key: last[key] for key in ("attempts", "before") if key in last}
        self.folder.write_json(
            "status.json",
            {
                "state": state,
                **kept,
                **facts,
                "owner": processes.mine(),
                "updated": time.time(),
                "nonce": secrets.token_hex(8),
            },
        )

    def keep_traceback(self, who: str, text: str) -> None:
        """Writes why a process of this run died to `errors/`, of which the last KEPT_ERRORS files are kept.

        Where it can't be written, it is lost: nothing else depends on it.

        who: the process, as part of a file's name: "rank-3".
        """
        errors = self.folder / "errors"
        with suppress(OSError):
            errors.write(f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{who}.txt", text.encode())
            for name in errors.names()[:-KEPT_ERRORS]:
                errors.delete(name)

    def finish(self, spec: RunSpec, corpus_hash: str, hashes: Mapping[str, str]) -> None:
        """Marks the run as done. hashes: hashes of its tables, by file name."""
        total = spec.schedule.total_steps
        self.progress("done", step=total, total_steps=total, identity=spec.identity(corpus_hash), tables=dict(hashes))


def changed_text(since: str, file: object, found: str, expected: str) -> UserError:
    """The error for a run whose text has changed, by its hash, since something that was done with it."""
    return UserError(
        f"the text has changed since {since}", file=file, key="corpus_hash", found=found, expected=expected
    )


class Stamps:
    """A snapshot of statuses, to detect later ones without comparing clocks.

    Args:
        runs: run folders by id.
    """

    def __init__(self, runs: Mapping[str, RunFolder]):
        self.at = {run_id: stamp(run.status()) for run_id, run in runs.items()}

    def is_new(self, run_id: str, status: Mapping[str, Any]) -> bool:
        """Whether a run's status was written after the snapshot."""
        return stamp(status) != self.at.get(run_id)
