"""Arrow schemas of all tables, with unit and meaning of each column. No torch, no Ray.

`runs` has one row for each run, `curves` one for each logged step, `layers` one for each tensor at each pruning event,
`evaluations` one for each model and text that it was evaluated on, `tasks` one for each model, task and metric.
"""

from __future__ import annotations

from typing import Any, Literal

import pyarrow as pa

from repro.columns import COLUMNS

Table = Literal["runs", "curves", "layers", "evaluations", "tasks"]


def _field(name: str, kind: pa.DataType, unit: str, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit, "meaning": meaning})


_S, _I, _F, _B = pa.string(), pa.int64(), pa.float64(), pa.bool_()

ARROW: dict[Any, pa.DataType] = {
    str: _S,
    int: _I,
    float: _F,
    bool: _B,
    list[str]: pa.list_(_S),
    list[float]: pa.list_(_F),
}
RUNS = pa.schema([_field(column.name, ARROW[column.type], column.unit, column.meaning) for column in COLUMNS])

CURVES = pa.schema(
    [
        _field("run_id", _S, "", "readable id"),
        _field("step", _I, "steps", "updates done"),
        _field("tokens", _I, "tokens", "tokens seen"),
        _field("effective_flops", _F, "FLOP", "effective compute so far"),
        _field("density", _F, "", "density in this step's forward pass"),
        _field("lr", _F, "", "learning rate of this update"),
        _field("loss_train", _F, "nats/token", "training loss of this step"),
        _field("grad_norm", _F, "", "gradient norm before clipping, with the gradients of removed weights at zero"),
        _field("loss_eval", _F, "nats/token", "held-out loss after this update; null if not evaluated then"),
        _field(
            "ms", _F, "ms", "wall time of a step, averaged over the steps since losses were last read from the device"
        ),
    ]
)

LAYERS = pa.schema(
    [
        _field("run_id", _S, "", "readable id"),
        _field("event", _I, "", "index of the pruning event"),
        _field("step", _I, "steps", "step of the event, which happens before this step's forward pass"),
        _field("tensor", _S, "", "parameter name"),
        _field("size", _I, "parameters", "weights in the tensor"),
        _field("kept", _I, "parameters", "weights left after the event"),
    ]
)

_MODEL = [
    _field("model", _S, "", "run id, or folder or id of a Hugging Face model"),
    _field("fingerprint", _S, "", "fingerprint of the run's spec; null for other models"),
    _field("step", _I, "steps", "updates done; null for other models"),
    _field("precision", _S, "", "fp32, bf16 or fp16, in which the model was evaluated"),
]

EVALUATIONS = pa.schema(
    [
        *_MODEL,
        _field("corpus", _S, "", "name of the text"),
        _field("corpus_hash", _S, "", "hash of the corpus' manifest, or of the files' text"),
        _field("packing", _S, "", "concatenate: documents joined into one stream; documents: each evaluated by itself"),
        _field(
            "windowing",
            _S,
            "",
            "disjoint, or sliding, where a window scores only the tokens that no earlier window has scored",
        ),
        _field("window", _I, "tokens", "tokens of a window, the first of which is not scored"),
        _field("stride", _I, "tokens", "tokens between the starts of two windows; equals `window` for disjoint ones"),
        _field("documents", _I, "", "documents in the text; no window spans two of them"),
        _field("tokens", _I, "tokens", "tokens scored"),
        _field("bytes", _I, "bytes", "UTF-8 bytes of the scored tokens"),
        _field("words", _I, "", "words, separated by white space, that begin in the scored tokens"),
        _field("loss", _F, "nats/token", "held-out loss, token-weighted"),
        _field("loss_se", _F, "nats/token", "standard error of `loss` over blocks"),
        _field("loss_blocks", pa.list_(_F), "nats/token", "held-out loss of each block"),
        _field("perplexity", _F, "", "exp(loss), per token"),
        _field("perplexity_se", _F, "", "standard error of `perplexity`"),
        _field("word_perplexity", _F, "", "exp(nats per word): comparable between tokenizers"),
        _field("word_perplexity_se", _F, "", "standard error of `word_perplexity`"),
        _field("bits_per_byte", _F, "bits/byte", "loss in bits per byte of text: comparable between tokenizers"),
        _field("bits_per_byte_se", _F, "bits/byte", "standard error of `bits_per_byte`"),
    ]
)

TASKS = pa.schema(
    [
        *_MODEL,
        _field("task", _S, "", "name of the task, or group of tasks, in lm-evaluation-harness"),
        _field("task_version", _S, "", "version of the task"),
        _field("metric", _S, "", "name of the metric"),
        _field("filter", _S, "", "filter applied to the answers before they are scored"),
        _field("value", _F, "", "value of the metric"),
        _field("value_se", _F, "", "standard error of `value`; null where the harness gives none"),
        _field("higher_is_better", _B, "", "whether a higher value is better; null where the task doesn't say"),
        _field("fewshot", _I, "", "examples shown before each question"),
        _field("samples", _I, "", "questions asked"),
        _field("harness", _S, "", "version of lm-evaluation-harness"),
    ]
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
