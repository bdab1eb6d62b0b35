"""RunSpec: everything that bears on the numbers of one run, and nothing else.

A spec is frozen and strict. Its canonical form (sorted JSON of literals) has a fingerprint; labels and
paths are left out of it, so the same spec on a laptop and on a cluster is one run. Where and how a run is
executed (devices, workers, ZeRO stage, micro-batch) is `resources.Resources`, which bears no identity.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from repro import ladder, strict
from repro.errors import UserError
from repro.schedule import PruningSchedule, Shape

LABEL: dict[str, bool] = {"identity": False}
LATER: dict[str, bool] = {"identity_at_default": False}  # of a field that younger specs have: older fingerprints stay
DECAY = 0.2
Score = Literal["magnitude", "random", "magnitude_gradient"]
LearningRates = Literal["cosine", "cosine_compute", "wsd"]


@dataclass(frozen=True)
class ModelSpec:
    """A Llama (RMSNorm, SwiGLU, RoPE, untied head). Field meanings: ladder.Shape; sequence is in tokens.

    init: "fan_in" is the authors' (linears N(0, 1/fan_in), query a further 1/sqrt(head_dim) smaller with
    attention scores not scaled, embedding N(0, 1)); "transformers" is N(0, .02^2) and scaled scores.
    """

    d_model: int
    layers: int
    heads: int
    mlp: int
    vocab: int
    sequence: int
    init: Literal["fan_in", "transformers"] = "fan_in"
    norm_eps: float = 1e-5
    rope_base: float = 10_000.0

    def __post_init__(self) -> None:
        if self.sequence < 2:
            raise UserError("sequence too short", key="sequence", found=self.sequence, expected="at least 2 tokens")
        _ = self.shape  # refuses impossible dimensions

    @cached_property
    def shape(self) -> ladder.Shape:
        return ladder.Shape(self.d_model, self.layers, self.heads, self.mlp, self.vocab)


@dataclass(frozen=True)
class CorpusSpec:
    """Which text, cut into tokens how.

    source: "package" (text that the package `name` ships), "huggingface" (dataset id `name`), "files"
    (`paths`, of which only the content bears identity; `name` labels it).
    tokenizer: "bpe" trains a byte-level BPE of the model's vocabulary on the text; else a Hugging Face id.
    packing: "concatenate" cuts one stream of documents; "documents" is the authors' way: each document cut
    at sequence + 1 tokens, the rest dropped, whole documents packed, attention inside a document.
    heldout_split: a split of the dataset; null holds out whole groups (services, documents) until
    `heldout_fraction` of the text is reached.
    max_documents: stop ingesting after so many; null takes all.
    text_sha256: if given, the extracted text must have this hash.
    """

    source: Literal["package", "huggingface", "files"]
    name: str
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    text_field: str = "text"
    tokenizer: str = "bpe"
    packing: Literal["concatenate", "documents"] = "concatenate"
    heldout_split: str | None = None
    heldout_fraction: float = 0.03
    max_documents: int | None = None
    text_sha256: str | None = None
    unique_tokens: float | None = field(default=None, metadata=LABEL)
    paths: tuple[str, ...] = field(default=(), metadata=LABEL)

    def __post_init__(self) -> None:
        if not 0 < self.heldout_fraction < 0.5:
            raise UserError(
                "held-out share out of range",
                key="heldout_fraction",
                found=self.heldout_fraction,
                expected="0 < share < .5",
            )
        if self.source == "files" and not self.paths:
            raise UserError("no files named", key="paths", expected="a list of files or globs")
        if self.unique_tokens is not None and self.unique_tokens <= 0:
            raise UserError(
                "tokens out of range", key="unique_tokens", found=self.unique_tokens, expected="more than 0"
            )


@dataclass(frozen=True)
class OptimizerSpec:
    """AdamW and its learning rates.

    lr: peak. batch: sequences a step. weight_decay is on all parameters, norms and embeddings too. clip: global
    gradient norm. final_lr: share of the peak at the end.
    lr_schedule: after a linear warm-up from 0, "cosine" (the paper) falls over the run's own T steps;
    "cosine_compute" over its effective compute, so that runs of one budget have the same rates until they prune;
    "wsd" is stable at the peak, then falls in a line: runs of several budgets have the same rates until then.
    warmup, decay (of "wsd"): below 1 a share, rounded down, of T, or of the compute in dense steps; from 1 on a count.
    """

    lr: float
    batch: int
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0
    warmup: float = 0.01
    final_lr: float = 0.1
    lr_schedule: LearningRates = field(default="cosine", metadata=LATER)
    decay: float = field(default=DECAY, metadata=LATER)

    def __post_init__(self) -> None:
        for name, ok, expected in (
            ("lr", self.lr > 0, "more than 0"),
            ("batch", self.batch >= 1, "at least 1 sequence"),
            ("beta1", 0 <= self.beta1 < 1, "0 <= beta1 < 1"),
            ("beta2", 0 <= self.beta2 < 1, "0 <= beta2 < 1"),
            ("eps", self.eps > 0, "more than 0"),
            ("weight_decay", self.weight_decay >= 0, "0 or more"),
            ("clip", self.clip > 0, "more than 0"),
            ("warmup", 0 <= self.warmup < 1 or _counts(self.warmup), "0 <= share < 1, or a whole number of steps"),
            ("final_lr", 0 <= self.final_lr <= 1, "0 <= share <= 1"),
            ("decay", 0 < self.decay < 1 or _counts(self.decay), "0 < share < 1, or a whole number of steps"),
            ("decay", self.decay == DECAY or self.lr_schedule == "wsd", f"{DECAY:g}, unless lr_schedule is wsd"),
        ):
            if not ok:
                raise UserError("value out of range", key=name, found=getattr(self, name), expected=expected)

    def lr_at(self, step: int, schedule: PruningSchedule) -> float:
        """Learning rate of the update of `step` (0-based). At a cost that doesn't depend on the step."""
        done, total, warm, decay = float(step), *self.phases(schedule)
        if self.lr_schedule == "cosine_compute":
            done = schedule.compute_at(step)
        if done < warm:
            return self.lr * done / warm
        if self.lr_schedule == "wsd":
            fallen = max(0.0, (done - (total - decay)) / decay)
            return self.lr * (1 - (1 - self.final_lr) * fallen)
        progress = (done - warm) / max(1, total - warm)
        return self.lr * (self.final_lr + (1 - self.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))

    def phases(self, schedule: PruningSchedule) -> tuple[int, int, int]:
        """All of a run, its warm-up and its decay: in steps, or in dense steps of compute where rates go by that."""
        # A run's compute is the dense run's but for the rounding of its last step, so all runs of a budget agree.
        total = round(schedule.compute) if self.lr_schedule == "cosine_compute" else schedule.total_steps
        warm = int(self.warmup * total if self.warmup < 1 else self.warmup)
        if self.lr_schedule != "wsd":
            return total, warm, total - warm
        return total, warm, max(1, int(self.decay * total if self.decay < 1 else self.decay))


def _counts(steps: float) -> bool:
    return steps >= 1 and float(steps).is_integer()


@dataclass(frozen=True)
class PruningSpec:
    """What is pruned, when (fractions of effective compute) and by which score.

    sparsity: final share of the prunable weights removed. start, end: first and last event. interval: steps
    between events. shape: see PruningSchedule. score: "magnitude" (the paper), "random" or
    "magnitude_gradient" (pruning/scores.py). distribution: "global" (one threshold, the paper) or "uniform" (the
    same density in every tensor). structure: "unstructured" (the paper), or "2:4" and the like: of every 4
    neighbours in a row, 2 are left at the end. do_not_prune: names of linear layers that are left alone
    ("lm_head"); the others then lose so much more that N_t is the same.
    """

    sparsity: float = 0.0
    start: float = 0.25
    end: float = 0.75
    interval: int = 1
    shape: Shape = "dense"
    score: Score = "magnitude"
    distribution: Literal["global", "uniform"] = "global"
    structure: str = "unstructured"
    do_not_prune: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, m = self.n_of_m or (1, 2)
        if self.structure != "unstructured" and (self.n_of_m is None or not 1 <= n < m <= 64):
            raise UserError(
                "no such structure",
                key="structure",
                found=self.structure,
                expected='"unstructured", or "N:M" with 1 <= N < M <= 64, for example "2:4"',
            )

    @property
    def n_of_m(self) -> tuple[int, int] | None:
        """(N, M) of an N:M structure."""
        found = re.fullmatch(r"(\d+):(\d+)", self.structure)
        return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class EvalSpec:
    """Held-out evaluation: the same `blocks` blocks of `block_sequences` sequences for every run.

    every: steps between evaluations during training, null for at the end only.
    """

    blocks: int = 64
    block_sequences: int = 8
    every: int | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise UserError("value out of range", key="every", found=self.every, expected="at least 1 step, or null")
        if self.blocks < 2 or self.block_sequences < 1:
            raise UserError(
                "too few held-out blocks",
                key="blocks",
                found=f"{self.blocks} of {self.block_sequences}",
                expected="at least 2 of 1",
            )

    def due(self, step: int) -> bool:
        """Whether there is an evaluation after the update of `step`."""
        return self.every is not None and (step + 1) % self.every == 0


@dataclass(frozen=True)
class StartSpec:
    """Weights to start from instead of the initialisation: `model` in a Hugging Face folder, of the run's own shape.

    sha256: of the weights (models.tensors.digest), wherever they lie. Masks are not taken over: a zero trains again
    until an event removes it; so what is sparse stays it with `shape: constant` and its own sparsity.
    """

    sha256: str
    model: str = field(metadata=LABEL)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise UserError("not a SHA-256", key="sha256", found=self.sha256, expected="64 hexadecimal digits")


@dataclass(frozen=True)
class RunSpec:
    """One run. `run_id`, `size` and `budget` are labels; everything else bears identity.

    dense_steps: steps of the dense run of this family; a sparse run is given its compute.
    repeat: whether the run may see text more than once.
    """

    run_id: str = field(metadata=LABEL)
    size: str = field(metadata=LABEL)
    budget: str = field(metadata=LABEL)
    model: ModelSpec
    corpus: CorpusSpec
    optimizer: OptimizerSpec
    pruning: PruningSpec
    dense_steps: int
    seed: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    repeat: bool = False
    evaluation: EvalSpec = EvalSpec()
    start: StartSpec | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        _ = self.schedule  # refuses impossible windows
        total, warm, decay = self.optimizer.phases(self.schedule)
        if warm >= total or warm + decay > total:
            raise UserError(
                f"the learning rate's warm-up and decay don't fit into the run, {self.run_id or self.size}",
                key="warmup",
                found=f"{warm:,} and {decay:,} of {total:,} steps",
                expected="fewer, or more steps",
            )
        self._check_pruning()

    def _check_pruning(self) -> None:
        """Refuses pruning that this model and this schedule can't have."""
        pruning, shape = self.pruning, self.model.shape
        if unknown := set(pruning.do_not_prune) - set(shape.linears):
            raise UserError(
                "no such linear layer",
                key="do_not_prune",
                found=", ".join(sorted(unknown)),
                expected=f"some of: {', '.join(shape.linears)}",
            )
        left_alone = sum(shape.linears[name] for name in pruning.do_not_prune)
        final = self.schedule.n_final(shape.prunable)
        if left_alone and left_alone >= final:
            raise UserError(
                f"the layers that are left alone leave no weight for the others, in {self.size} at sparsity {pruning.sparsity:g}",
                key="do_not_prune",
                found=f"{', '.join(pruning.do_not_prune)}: {left_alone:,} weights of {final:,} left",
                expected="a lower sparsity, or fewer layers",
            )
        if pruning.score == "magnitude_gradient" and self.schedule.events and self.schedule.start_step == 0:
            raise UserError(
                "no gradient before the first update",
                key="score",
                found="magnitude_gradient, first event at step 0",
                expected="a later start, or another score",
            )
        if pruning.n_of_m is not None and self.schedule.events:
            n, m = pruning.n_of_m
            for name, width in (("d_model", shape.d_model), ("mlp", shape.mlp)):
                if width % m:
                    raise UserError(
                        "rows don't divide into groups",
                        key="structure",
                        found=f"{pruning.structure} with {name} {width}",
                        expected=f"{name} a multiple of {m}",
                    )
            exact = left_alone + (shape.prunable - left_alone) // m * n
            if final != exact:
                # Rounded down at the twelve digits that a schedule reads, so that it leaves these weights and no fewer.
                fits = (shape.prunable - exact) * 10**12 // shape.prunable / 10**12
                raise UserError(
                    "structure and sparsity disagree",
                    key="sparsity",
                    found=f"{pruning.sparsity} leaves {final:,} weights",
                    expected=f"{fits!r}, at which {pruning.structure} leaves {exact:,}",
                )

    @cached_property
    def schedule(self) -> PruningSchedule:
        p = self.pruning
        return PruningSchedule.resolve(
            sparsity=p.sparsity,
            dense_steps=self.dense_steps,
            start=p.start,
            end=p.end,
            interval=p.interval,
            shape=p.shape,
        )

    @property
    def last_percent(self) -> int:
        """First of the last 1% of steps, over which the training loss is a mean."""
        total = self.schedule.total_steps
        return total - max(1, total // 100)

    @property
    def tokens_per_step(self) -> int:
        return self.optimizer.batch * self.model.sequence

    @property
    def tokens(self) -> int:
        """D: tokens seen, in tokens."""
        return self.tokens_per_step * self.schedule.total_steps

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 of the canonical form."""
        return hashlib.sha256(canonical(self).encode()).hexdigest()[:16]

    def identity(self, corpus_hash: str) -> str:
        """What a checkpoint belongs to: this spec on this very text."""
        return f"{self.fingerprint} on {corpus_hash}"

    def to_dict(self) -> dict[str, Any]:
        return json.loads(json.dumps(dataclasses.asdict(self)))


def canonical(spec: Any) -> str:
    """Sorted, compact JSON of the fields that bear identity; of those added LATER, where they aren't at their default.

    Raises:
        TypeError: a value that has no unambiguous literal form.
    """
    return json.dumps(_literal(spec, type(spec).__name__), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _literal(value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: _literal(getattr(value, f.name), f"{name}.{f.name}")
            for f in dataclasses.fields(value)
            if f.metadata.get("identity", True)
            and (f.metadata.get("identity_at_default", True) or getattr(value, f.name) != f.default)
        }
    if isinstance(value, (list, tuple)):
        return [_literal(v, name) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{name}: a {type(value).__name__} has no canonical form")


def load(path: str | Path) -> RunSpec:
    """A RunSpec from the spec.json that a run leaves behind, or from YAML of the same keys."""
    path = Path(path)
    if path.is_dir():
        path = path / "spec.json"
    return from_kept(strict.read_yaml(path), file=path)


def from_kept(data: dict[str, Any], file: object = None) -> RunSpec:
    """A RunSpec from the mapping in a run's spec.json, which has what was computed beside it."""
    return strict.build(RunSpec, {k: v for k, v in data.items() if k not in ("fingerprint", "corpus_hash")}, file=file)
