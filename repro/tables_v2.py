"""The runs table of schema version 2 in the columns of today. No torch, no Ray."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from repro import columns

if TYPE_CHECKING:
    from repro.spec import RunSpec  # pydantic, which reading a table does without

# The columns of version 2.
NAMES = (
    "run_id", "fingerprint", "sweep", "studies", "family", "size", "budget", "seed", "d_model", "layers", "heads", "mlp",
    "vocab", "sequence", "init", "precision", "corpus", "corpus_hash", "N_total", "N_prunable", "N_avg", "N_final",
    "density_avg", "sparsity", "start", "end", "start_step", "end_step", "total_steps", "dense_steps", "interval", "events",
    "shape", "score", "distribution", "structure", "do_not_prune", "D", "epochs", "dense_tokens", "effective_flops",
    "executed_flops", "lr", "batch_tokens", "weight_decay", "lr_wd_sum", "loss", "loss_se", "loss_blocks", "loss_train",
    "seconds", "seconds_setup", "tokens_per_second", "mfu", "peak_memory", "workers", "zero_stage", "micro_batch",
    "forked_from", "forked_step", "device",
)  # fmt: skip
# Two rows of version 2 that agree in these were taken for one configuration.
CONFIGURATION = (
    "size", "budget", "d_model", "layers", "heads", "mlp", "vocab", "sequence", "init", "precision", "corpus_hash",
    "sparsity", "start", "end", "shape", "interval", "score", "distribution", "structure", "do_not_prune", "total_steps",
    "batch_tokens", "lr", "weight_decay",
)  # fmt: skip
WINDOW = ("start", "end", "start_step", "end_step", "interval")  # of a dense run, too, which has none


def upgraded(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with the columns NAMES as one of `schema`.

    A dense run's window becomes null, `recipe` a hash of CONFIGURATION, which is never that of a spec, and `batch` follows
    from other columns; whatever else version 2 did not have is null.
    """
    rows = [_upgraded(row) for row in table.to_pylist()]
    empty = dict.fromkeys(schema.names)
    return pa.Table.from_pylist([empty | row for row in rows], schema=schema.with_metadata(table.schema.metadata))


def completed(table: pa.Table, spec: RunSpec) -> pa.Table:
    """The upgraded row of one run with what its spec says of the columns that version 2 did not have."""
    new = {name: value for name, value in columns.planned(spec).items() if name not in NAMES}
    return pa.Table.from_pylist([row | new for row in table.to_pylist()], schema=table.schema)


def _upgraded(row: dict[str, Any]) -> dict[str, Any]:
    if row["sparsity"] == 0:
        row |= dict.fromkeys(WINDOW)
    identity = json.dumps([row[name] for name in CONFIGURATION])
    batch = row["batch_tokens"] // row["sequence"] if row["batch_tokens"] and row["sequence"] else None
    return row | {"recipe": hashlib.sha256(identity.encode()).hexdigest()[:16], "batch": batch}
