"""Arrow schemas of all tables, with unit and meaning of each column. No torch, no Ray.

`runs` has one row for each run, `curves` one for each logged step, `layers` one for each tensor at each pruning event,
`evaluations` one for each model and text that it was evaluated on, `tasks` one for each model, task and metric.
"""

from __future__ import annotations

from typing import Any, Literal

import pyarrow as pa

from repro.columns import COLUMNS

Table = Literal["runs", "curves", "layers", "evaluations", "tasks"]


def _schema(*columns: tuple[str, pa.DataType, str, str]) -> pa.Schema:
    """Of columns' names, types, units and meanings."""
    return pa.schema(
        [pa.field(name, kind, metadata={"unit": unit, "meaning": meaning}) for name, kind, unit, meaning in columns]
    )


_S, _I, _F, _B = pa.string(), pa.int64(), pa.float64(), pa.bool_()

ARROW: dict[Any, pa.DataType] = {
    str: _S,
    int: _I,
    float: _F,
    bool: _B,
    list[str]: pa.list_(_S),
    list[float]: pa.list_(_F),
}
RUNS = _schema(*((column.name, ARROW[column.type], column.unit, column.meaning) for column in COLUMNS))

CURVES = _schema(
    ("run_id", _S, "", "readable id"),
    ("step", _I, "steps", "updates done"),
    ("tokens", _I, "tokens", "tokens seen"),
    ("effective_flops", _F, "FLOP", "effective compute so far"),
    ("density", _F, "", "density in this step's forward pass"),
    ("lr", _F, "", "learning rate of this update"),
    ("loss_train", _F, "nats/token", "training loss of this step"),
    ("grad_norm", _F, "", "gradient norm before clipping, with the gradients of removed weights at zero"),
    ("loss_eval", _F, "nats/token", "held-out loss after this update; null if not evaluated then"),
    ("ms", _F, "ms", "wall time of a step, averaged over the steps since losses were last read from the device"),
)

LAYERS = _schema(
    ("run_id", _S, "", "readable id"),
    ("event", _I, "", "index of the pruning event"),
    ("step", _I, "steps", "step of the event, which happens before this step's forward pass"),
    ("tensor", _S, "", "parameter name"),
    ("size", _I, "parameters", "weights in the tensor"),
    ("kept", _I, "parameters", "weights left after the event"),
)

_MODEL = [
    ("model", _S, "", "run id, or folder or id of a Hugging Face model"),
    ("fingerprint", _S, "", "fingerprint of the run's spec; null for other models"),
    ("step", _I, "steps", "updates done; null for other models"),
    ("precision", _S, "", "fp32, bf16 or fp16, in which the model was evaluated"),
]

EVALUATIONS = _schema(
    *_MODEL,
    ("corpus", _S, "", "name of the text"),
    ("corpus_hash", _S, "", "hash of the corpus' manifest, or of the files' text"),
    ("packing", _S, "", "concatenate: documents joined into one stream; documents: each evaluated by itself"),
    (
        "windowing",
        _S,
        "",
        "disjoint, or sliding, where a window scores only the tokens that no earlier window has scored",
    ),
    ("window", _I, "tokens", "tokens of a window, the first of which is not scored"),
    ("stride", _I, "tokens", "tokens between the starts of two windows; equals `window` for disjoint ones"),
    ("documents", _I, "", "documents in the text; no window spans two of them"),
    ("tokens", _I, "tokens", "tokens scored"),
    ("bytes", _I, "bytes", "UTF-8 bytes of the scored tokens"),
    ("words", _I, "", "words, separated by white space, that begin in the scored tokens"),
    ("loss", _F, "nats/token", "held-out loss, token-weighted"),
    ("loss_se", _F, "nats/token", "standard error of `loss` over blocks"),
    ("loss_blocks", pa.list_(_F), "nats/token", "held-out loss of each block"),
    ("perplexity", _F, "", "exp(loss), per token"),
    ("perplexity_se", _F, "", "standard error of `perplexity`"),
    ("word_perplexity", _F, "", "exp(nats per word): comparable between tokenizers"),
    ("word_perplexity_se", _F, "", "standard error of `word_perplexity`"),
    ("bits_per_byte", _F, "bits/byte", "loss in bits per byte of text: comparable between tokenizers"),
    ("bits_per_byte_se", _F, "bits/byte", "standard error of `bits_per_byte`"),
)

TASKS = _schema(
    *_MODEL,
    ("task", _S, "", "name of the task, or group of tasks, in lm-evaluation-harness"),
    ("task_version", _S, "", "version of the task"),
    ("metric", _S, "", "name of the metric"),
    ("filter", _S, "", "filter applied to the answers before they are scored"),
    ("value", _F, "", "value of the metric"),
    ("value_se", _F, "", "standard error of `value`; null where the harness gives none"),
    ("higher_is_better", _B, "", "whether a higher value is better; null where the task doesn't say"),
    ("fewshot", _I, "", "examples shown before each question"),
    ("samples", _I, "", "questions asked"),
    ("harness", _S, "", "version of lm-evaluation-harness"),
)

SCHEMAS: dict[str, pa.Schema] = {
    "runs": RUNS,
    "curves": CURVES,
    "layers": LAYERS,
    "evaluations": EVALUATIONS,
    "tasks": TASKS,
}
# Columns that identify a row: evaluating a model again on the same replaces its row.
KEYS: dict[Table, tuple[str, ...]] = {
    "evaluations": ("model", "step", "precision", "corpus", "corpus_hash", "packing", "window", "stride", "tokens"),
    "tasks": ("model", "step", "precision", "task", "metric", "filter", "fewshot", "samples"),
}
