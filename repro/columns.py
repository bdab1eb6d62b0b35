"""Every column of the runs table, declared once: type, unit, meaning and how it is computed. No torch, no Ray.

The schema of the table, the plan (`sweeps expand`), the row of a trained run, the settings in trackers and on model cards,
simulated sweeps and the controls of the analysis derive from `COLUMNS`, so a new field of a spec is one entry here.

A dense run prunes nothing: `start`, `end`, `start_step`, `end_step` and `interval` are null, in the plan and in the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repro import ladder
from repro.column import (
    Column,
    Part,
    Trained,
    calibration,
    if_returned,
    moves,
    of_surgery,
    pieces,
    rope_scaling,
    unless_dense,
)

if TYPE_CHECKING:
    from repro.spec import RunSpec  # pydantic, which reading a table does without


def epochs(spec: RunSpec) -> float | None:
    """How often a run will see its corpus; None where the sweep file doesn't declare how large that is."""
    return spec.tokens / spec.corpus.unique_tokens if spec.corpus.unique_tokens else None


def effective_flops(spec: RunSpec) -> float:
    return ladder.effective_flops(spec.schedule.weight_steps(spec.model.shape.prunable), spec.tokens_per_step)


def executed_flops(spec: RunSpec) -> float:
    return ladder.executed_flops(spec.model.shape, spec.tokens, spec.model.sequence)


def _n_avg(spec: RunSpec) -> float:
    return spec.schedule.n_avg(spec.model.shape.prunable)


# One entry a line or two, however long: it is a table.
# fmt: off
COLUMNS: tuple[Column, ...] = (
    Column("run_id", str, "", "readable id", "label", lambda s: s.run_id),
    Column("fingerprint", str, "", "hash of the spec's canonical form", "label", lambda s: s.fingerprint),
    Column("recipe", str, "", "hash of the configuration: of the canonical form without the seed; runs of one configuration differ in their seed alone",
           "label", lambda s: s.recipe),
    Column("sweep", str, "", "name of the sweep; empty in a run's own folder", "label", run=lambda m: ""),
    Column("studies", list[str], "", "studies that include this run; empty in a run's own folder", "label", run=lambda m: []),
    Column("family", str, "", "group of runs of equal size and budget, or of one mirrored set; the cluster of a cluster "
           "bootstrap", "label", lambda s: s.family or f"{s.size}-{s.budget}"),
    Column("size", str, "", "label of the model size", "label", lambda s: s.size),
    Column("budget", str, "", "label of the compute budget", "label", lambda s: s.budget),
    Column("seed", int, "", "seed of the initialisation and of the data order", "label", lambda s: s.seed),
    Column("d_model", int, "", "width of the residual stream", "size", lambda s: s.model.d_model),
    Column("layers", int, "", "number of blocks", "size", lambda s: s.model.layers),
    Column("heads", int, "", "attention heads", "size", lambda s: s.model.heads),
    Column("kv_heads", int, "", "key and value heads; null: as many as heads", "size",
           lambda s: s.model.kv_heads, added=True),
    Column("head_dim", int, "", "width of a head; null: d_model / heads", "size", lambda s: s.model.head_dim, added=True),
    Column("mlp", int, "", "inner width of the SwiGLU block", "size", lambda s: s.model.mlp),
    Column("vocab", int, "tokens", "vocabulary size", "size", lambda s: s.model.vocab),
    Column("sequence", int, "tokens", "sequence length", "size", lambda s: s.model.sequence),
    Column("lr", float, "", "peak learning rate", "setting", lambda s: s.optimizer.lr),
    Column("batch", int, "sequences", "sequences per step", "setting", lambda s: s.optimizer.batch),
    Column("weight_decay", float, "", "AdamW weight decay", "setting", lambda s: s.optimizer.weight_decay),
    Column("warmup", float, "share or steps", "length of the warm-up: below 1 a share of the run, from 1 on a number of "
           "steps", "setting", lambda s: s.optimizer.warmup),
    Column("lr_schedule", str, "", "learning-rate schedule after the warm-up: cosine, cosine_compute or wsd", "setting",
           lambda s: s.optimizer.lr_schedule),
    Column("decay", float, "share or steps", "decay phase of wsd: below 1 a share of the run, from 1 on a number of steps; "
           "null for other schedules", "setting", lambda s: s.optimizer.decay if s.optimizer.lr_schedule == "wsd" else None),
    Column("final_lr", float, "share of lr", "learning rate at the end", "setting",
           lambda s: s.optimizer.final_lr),
    Column("clip", float, "", "global gradient norm to which larger gradients are clipped", "setting",
           lambda s: s.optimizer.clip),
    Column("beta1", float, "", "AdamW beta1", "setting", lambda s: s.optimizer.beta1),
    Column("beta2", float, "", "AdamW beta2", "setting", lambda s: s.optimizer.beta2),
    Column("eps", float, "", "AdamW epsilon", "setting", lambda s: s.optimizer.eps),
    Column("init", str, "", "initialisation: fan_in or transformers", "setting", lambda s: s.model.init),
    Column("norm_eps", float, "", "epsilon of the RMSNorms", "setting", lambda s: s.model.norm_eps),
    Column("rope_base", float, "", "base of the rotary embedding", "setting", lambda s: s.model.rope_base),
    Column("rope_scaling", str, "", "Llama 3's scaling of the rotary embedding: factor, low_freq_factor, high_freq_factor, "
           "original_context; null: none", "setting", rope_scaling, added=True),
    Column("tied", bool, "", "true if the LM head is the embedding, else null", "setting",
           lambda s: s.model.tied or None, added=True),
    Column("biases", str, "", "which linear layers have a bias; null: none", "setting",
           lambda s: None if s.model.biases == "none" else s.model.biases, added=True),
    Column("precision", str, "", "number format of the forward and backward passes: fp32 or bf16", "setting",
           lambda s: s.precision),
    Column("corpus", str, "", "name of the corpus", "setting", lambda s: s.corpus.name),
    Column("corpus_hash", str, "", "hash of the corpus manifest", "setting"),
    Column("start_sha256", str, "", "hash of the weights that the run started from; null after a random initialisation",
           "setting", lambda s: getattr(s.start, "sha256", None)),
    Column("start_model", str, "", "folder or Hugging Face id of the model that the run started from; null if none", "label",
           lambda s: getattr(s.start, "model", None)),
    Column("parent", str, "", "run whose weights this run started from; null if none", "label",
           lambda s: s.parent.run_id if s.parent else None),
    Column("parent_recipe", str, "", "hash of the parent's configuration; null if none", "setting",
           lambda s: s.parent.recipe if s.parent else None),
    Column("parent_step", int, "steps", "training steps that the parent had done when its weights were taken; null if none",
           "setting", lambda s: s.parent_step),
    Column("position", int, "rows", "rows of the text that the runs it descends from had already read",
           "setting", lambda s: s.position),
    Column("surgery", str, "", "surgery method that pruned or grew the weights before the first step; null: none", "setting",
           of_surgery(lambda s, _: s.method), added=True),
    Column("surgery_structure", str, "", "pattern of the zeros that surgery left: unstructured or N:M; null if it left "
           "none", "setting", of_surgery(lambda s, _: s.structure), added=True),
    Column("surgery_rate", float, "share of all parameters", "share that surgery was asked to remove; 0: a control; "
           "null: no surgery, growth, or N:M in all blocks", "setting", of_surgery(lambda s, _: s.rate), added=True),
    Column("surgery_factor", int, "", "growth: how many times as many blocks, or as large widths; 1: a control; null: no "
           "growth", "setting", of_surgery(lambda s, _: s.factor), added=True),
    Column("surgery_calibration", str, "", "calibration text of the surgery: source, sequences x tokens, seed; null: none",
           "setting", calibration, added=True),
    Column("surgery_seed", int, "", "seed of a surgery method that draws at random; null for other methods", "label",
           of_surgery(lambda s, _: s.seed), added=True),
    # A permission, which rules of a sweep may give to some sparsities: by itself it changes no number.
    Column("repeat", bool, "", "whether the run may see text more than once", "label", lambda s: s.repeat),
    Column("sparsity", float, "", "largest share of the prunable weights that is zero during the run; where N(t) falls, "
           "the final share", "window", lambda s: s.schedule.sparsity),
    Column("shape", str, "", "shape of the density over time", "window", lambda s: s.schedule.shape),
    Column("mirror", bool, "", "true if N(t) is the shape reflected in time, else null", "window",
           lambda s: s.schedule.mirror or None, added=True),
    Column("pieces", str, "", "N(t) as JSON: [first step, density] of each piece; null for dense, constant and falling "
           "shapes, which the steps below determine", "window", pieces, added=True),
    Column("start", float, "share of compute", "share of compute before the first event, as declared", "window",
           unless_dense(lambda s: s.pruning.start)),
    Column("end", float, "share of compute", "share of compute before the last event, as declared", "window",
           unless_dense(lambda s: s.pruning.end)),
    Column("score", str, "", "score by which weights are ranked for pruning", "setting", lambda s: s.pruning.score),
    Column("distribution", str, "", "how sparsity is distributed over the tensors: global, uniform or erdos_renyi", "setting",
           lambda s: s.pruning.distribution),
    Column("structure", str, "", "pattern of the zeros: unstructured or N:M", "setting", lambda s: s.pruning.structure),
    Column("do_not_prune", list[str], "", "linear layers that are never pruned", "setting",
           lambda s: list(s.pruning.do_not_prune)),
    Column("scope", str, "", "the only parts of the model that are pruned; null: all", "setting",
           lambda s: ", ".join(s.pruning.scope) or None, added=True),
    Column("choose", str, "", "how the removed weights that come back are chosen; null if none come back", "setting",
           if_returned(lambda s: s.pruning.moves.return_ if s.pruning.moves else s.pruning.choose), added=True),
    Column("fill", str, "", "value of weights that come back: zero, or draw (as at initialisation); null if none come back",
           "setting", if_returned(lambda s: s.pruning.fill), added=True),
    Column("moves", str, "", "how the mask moves at a constant number of weights; null: it does not", "setting",
           moves, added=True),
    Column("interval", int, "steps", "steps between two events", "window", unless_dense(lambda s: s.schedule.interval)),
    Column("start_step", int, "steps", "step of the first event", "count", unless_dense(lambda s: s.schedule.start_step)),
    Column("end_step", int, "steps", "step of the last event", "count", unless_dense(lambda s: s.schedule.end_step)),
    Column("events", int, "", "number of events", "count", lambda s: s.schedule.events),
    Column("total_steps", int, "steps", "number of training steps, T", "count", lambda s: s.schedule.total_steps),
    Column("dense_steps", int, "steps", "steps of the dense run of equal compute", "count", lambda s: s.dense_steps),
    Column("batch_tokens", int, "tokens", "tokens per step", "count", lambda s: s.tokens_per_step),
    Column("dense_tokens", int, "tokens", "tokens of the dense run of equal compute", "count",
           lambda s: s.dense_steps * s.tokens_per_step),
    Column("N_total", int, "parameters", "all parameters of the model", "count", lambda s: s.model.shape.total),
    Column("N_prunable", int, "parameters", "weights of all linear layers, LM head included", "count",
           lambda s: s.model.shape.prunable),
    Column("N_avg", float, "parameters", "mean over steps of the non-zero prunable weights", "count",
           _n_avg, lambda m: m.n_avg),
    Column("N_final", int, "parameters", "non-zero prunable weights at the end", "count",
           lambda s: s.schedule.n_final(s.model.shape.prunable)),
    Column("density_avg", float, "", "N_avg / N_prunable", "count",
           lambda s: _n_avg(s) / s.model.shape.prunable, lambda m: m.n_avg / m.spec.model.shape.prunable),
    Column("D", int, "tokens", "tokens that the run is trained on", "count", lambda s: s.tokens, lambda m: m.tokens),
    Column("epochs", float, "", "D over the unique tokens of the corpus; in a plan, over the declared number", "count",
           epochs, lambda m: m.tokens / m.unique_tokens),
    Column("effective_flops", float, "FLOP", "effective compute: 6 * tokens per step * sum over steps of N_t", "count",
           effective_flops, lambda m: ladder.effective_flops(m.weight_steps, m.spec.tokens_per_step)),
    Column("executed_flops", float, "FLOP", "compute with zeros multiplied like other weights: 6 N_prunable D plus causal "
           "attention scores", "count",
           executed_flops, lambda m: ladder.executed_flops(m.spec.model.shape, m.tokens, m.spec.model.sequence)),
    Column("N_avg_life", float, "parameters", "mean over tokens of N_t in this run and in the runs that its weights come "
           "from", "count", lambda s: s.life.n_avg, lambda m: m.life.n_avg),
    Column("D_life", int, "tokens", "tokens that this run and the runs that its weights come from are trained on", "count",
           lambda s: s.life.tokens, lambda m: m.life.tokens),
    Column("effective_flops_life", float, "FLOP", "effective compute of this run and of the runs that its weights come "
           "from", "count", lambda s: s.life.effective_flops, lambda m: m.life.effective_flops),
    Column("N_total_before", int, "parameters", "all parameters before surgery; null without surgery", "count",
           of_surgery(lambda s, before: before.shape.total), added=True),
    Column("rho", float, "", "share of all parameters that surgery removed; null without surgery and for growth", "count",
           of_surgery(lambda s, before: None if s.grows else s.rates(before)["rate_all"]), added=True),
    Column("rho_linear", float, "", "share of the weights of linear layers, LM head included, that surgery removed; null "
           "without surgery and for growth", "count",
           of_surgery(lambda s, before: None if s.grows else s.rates(before)["rate_linear"]), added=True),
    Column("N_idle", int, "weights", "prunable weights that came back as zeros and still are, because both sides of their "
           "channel were removed and no gradient reaches them; N_t counts them; null if none came back", "count",
           run=lambda m: m.idle, added=True),
    Column("lr_wd_sum", float, "", "sum over steps of learning rate * weight decay", "result"),
    Column("loss", float, "nats/token", "held-out loss at the end, weighted by tokens", "result"),
    Column("loss_se", float, "nats/token", "standard error of `loss` over held-out blocks", "result"),
    Column("loss_blocks", list[float], "nats/token", "held-out loss of each block", "result"),
    Column("L_parent", float, "nats/token", "held-out loss of the weights that the run started from, after surgery if any "
           "and before its first step; null after a random initialisation", "result", run=lambda m: m.loss_parent),
    Column("L_before", float, "nats/token", "held-out loss of the same weights before surgery; null without surgery",
           "result", run=lambda m: m.loss_before, added=True),
    Column("loss_train", float, "nats/token", "mean training loss over the last 1% of steps", "result"),
    Column("seconds", float, "s", "wall time of the training loop, evaluation included", "execution"),
    Column("seconds_setup", float, "s", "wall time outside the training loop: building the model and the engine, saving",
           "execution"),
    Column("tokens_per_second", float, "tokens/s", "D / seconds", "execution", run=lambda m: m.tokens / m.seconds),
    Column("mfu", float, "", "executed FLOP per second over the device's peak; null where the peak is unknown", "execution"),
    Column("peak_memory", int, "bytes", "peak memory of rank 0's process: resident set (CPU) or allocator (GPU)", "execution"),
    Column("workers", int, "", "data-parallel processes", "execution"),
    Column("zero_stage", int, "", "DeepSpeed ZeRO stage", "execution"),
    Column("micro_batch", int, "sequences", "sequences that a worker processes at once", "execution"),
    Column("forked_from", str, "", "run whose checkpoint this run started from, because both share a prefix; null if none",
           "execution"),
    Column("forked_step", int, "steps", "steps taken over with that checkpoint; null if none", "execution"),
    Column("device", str, "", "name of the device", "execution"),
)
# fmt: on


ADDED = tuple(column.name for column in COLUMNS if column.added)


def names(*parts: Part) -> tuple[str, ...]:
    """Names of the columns of some parts, in the order of the table."""
    return tuple(column.name for column in COLUMNS if column.part in parts)


def planned(spec: RunSpec) -> dict[str, Any]:
    """The columns that a spec alone determines, by name."""
    return {column.name: column.plan(spec) for column in COLUMNS if column.plan}


def row(trained: Trained) -> dict[str, Any]:
    """The row of a trained run. The sweep fills in its name and the studies (tables.collect)."""
    known = vars(trained) | planned(trained.spec)
    return {column.name: column.run(trained) if column.run else known[column.name] for column in COLUMNS}
