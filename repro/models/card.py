"""The model card of an export: model, text, schedule, counts, losses, and how to reproduce it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro import columns
from repro.corpus.manifest import Manifest
from repro.models import card_claims
from repro.models.counts import Counts
from repro.models.folder import CARD
from repro.models.page import rows_of, section, sparsity_table, table_of, use, written
from repro.spec import RunSpec

FIGURE = "schedule.png"
PAPER = "https://arxiv.org/abs/2501.12486"


@dataclass(frozen=True)
class Card:
    """The contents of a card.

    step: the checkpoint's step. row: the run's row of run.parquet, None if it isn't done. counts: counts of the weights
    as written, so that the card claims what `python -m repro inspect` finds.
    """

    spec: RunSpec
    text: Manifest
    step: int
    row: dict[str, Any] | None
    provenance: dict[str, Any]
    counts: Counts
    dtype: str
    compact: bool

    def write(self, folder: Path) -> None:
        """Writes the card and its figure to a folder; no figure where matplotlib isn't installed."""
        is_drawn = self._draw(folder / FIGURE)
        tags = ["llama"] if self.counts.structure == "dense" else ["llama", "sparse", "sparse-pre-training"]
        claims = card_claims.stated(self.counts)
        if self.row:
            claims["average_linear_params"] = round(self.row["N_avg"])
        (folder / CARD).write_text(written(tags, claims, self._page(is_drawn)), encoding="utf-8")

    def _page(self, is_drawn: bool) -> Iterator[str]:
        spec, schedule = self.spec, self.spec.schedule
        yield f"# {spec.run_id}"
        yield ""
        yield self._summary()
        if self.step < schedule.total_steps:
            yield ""
            yield f"**Not trained to its end**: step {self.step:,} of {schedule.total_steps:,}."
        yield from use()
        yield f"Weights are {self.dtype}; removed ones are stored as zeros."
        if self.compact:
            yield (
                "`compact/` holds the same weights in the `sparse-bitmask` layout of compressed-tensors, one bit per weight "
                "and those that are not zero; `repro.models.export.load_compact(folder)` reads it."
            )
        yield from section("Counts", rows_of(self._counted()))
        yield from section("Losses", self._losses())
        yield from section("Trained on", rows_of(self._trained_on()))
        yield from section("Schedule")
        if is_drawn:
            yield f"![Density of the prunable weights over training]({FIGURE})"
            yield ""
        yield from rows_of(self._scheduled())
        yield from section("Settings", table_of(["", "", "meaning"], list(self._settings())))
        yield from section("Sparsity by layer", table_of(*sparsity_table(self.counts)))
        yield from section("Make it again", self._again())

    def _summary(self) -> str:
        shape = self.spec.model.shape
        text = (
            f"A Llama of {shape.total:,} parameters (width {shape.d_model:,}, {shape.layers} layers, {shape.heads} heads, "
            f"mlp {shape.mlp:,}, vocabulary {shape.vocab:,}, {self.spec.model.sequence:,} tokens of context), "
        )
        if self.spec.schedule.shape == "dense":
            return text + f"trained dense in {self.spec.precision}."
        return text + (
            f"{'at up to' if self.spec.schedule.returns else 'pruned to'} {self.spec.pruning.sparsity:.4g} sparsity of its "
            f"linear layers while it was trained, in {self.spec.precision}, as in [The Journey Matters]({PAPER})."
        )

    def _counted(self) -> Iterator[tuple[str, str]]:
        found = self.counts
        yield "parameters", f"{found.total_params:,}"
        yield "of linear layers, LM head included", f"{found.linear_params:,}"
        yield "of those not zero", f"{found.nonzero_linear_params:,}"
        yield "sparsity, structure", f"{found.sparsity:.4%}, {found.structure}"
        if self.row:
            yield "average over training (N_avg)", f"{self.row['N_avg']:,.0f}, {self.row['density_avg']:.4f} of all"

    def _losses(self) -> Iterator[str]:
        if not self.row:
            yield "None was taken yet."
            return
        yield from rows_of(
            [
                ("held-out, nats a token", f"{self.row['loss']:.4f} ± {self.row['loss_se']:.4f}"),
                ("held-out perplexity, of these tokens", f"{math.exp(self.row['loss']):.2f}"),
                ("training, mean of the last 1% of steps", f"{self.row['loss_train']:.4f}"),
            ]
        )
        blocks = self.spec.evaluation
        yield ""
        yield f"Held out: {blocks.blocks} blocks of {blocks.block_sequences} sequences; ± is a standard error over blocks."

    def _trained_on(self) -> Iterator[tuple[str, str]]:
        corpus = self.spec.corpus
        subset = "".join(f", {part}" for part in (corpus.subset, corpus.split) if part)
        yield "text", f"{corpus.name} ({corpus.source}{subset}); licence of the text: {self.text.licence}"
        yield "hash of its tokens", f"{self.text.hash}; SHA-256 of the text {self.text.text_sha256}"
        yield "tokenizer", f"{corpus.tokenizer}; every document begins with BOS and ends with EOS"
        yield "packing", corpus.packing
        tokens = self.step * self.spec.tokens_per_step
        epochs = f", {self.row['epochs']:.3f} epochs" if self.row else ""
        yield "tokens seen", f"{tokens:,}{epochs}"
        if self.row:
            yield "effective compute", f"{self.row['effective_flops']:.4g} FLOP (6 N_t per token)"

    def _scheduled(self) -> Iterator[tuple[str, str]]:
        schedule = self.spec.schedule
        yield "steps", f"{schedule.total_steps:,}"
        if schedule.events:
            rises = sum(map(schedule.rises, range(schedule.events)))
            times = f"{schedule.events - rises} times"
            between = f"from {schedule.start_step:,} to {schedule.end_step:,}"
            if schedule.returns:
                yield "pruned", times
                yield "weights given back", f"{rises + len(schedule.move_shares)} times"
                yield "all of these at steps", between
            else:
                yield "pruned", f"{times}, every {schedule.interval:,} steps {between}"
            yield "in shares of compute", f"from {schedule.compute_at_start:.4f} to {schedule.compute_at_end:.4f}"
        yield "average density", f"{schedule.density_avg:.4f}"

    def _settings(self) -> Iterator[list[str]]:
        """Name, value and meaning of each column of the runs table that is a setting of the spec; nulls are left out."""
        known = columns.planned(self.spec)
        for column in columns.COLUMNS:
            value = known.get(column.name)
            if value is not None and (column.part in ("setting", "window") or column.name == "seed"):
                shown = f"{value:g}" if isinstance(value, float) else value
                text = (", ".join(shown) or "none") if isinstance(shown, list) else str(shown)
                yield [column.name, text, column.meaning]

    def _again(self) -> Iterator[str]:
        versions = ", ".join(f"{name} {version}" for name, version in self.provenance.get("versions", {}).items())
        commit = self.provenance.get("commit")
        yield f"With sparse-scaling{f' at commit {commit}' if commit else ''}{f' and {versions}' if versions else ''}:"
        yield ""
        yield "```"
        yield "python -m repro train spec.json --out run"
        yield "python -m repro export run model"
        yield "python -m repro inspect model        # checks the weights against this card's claims"
        yield "```"

    def _draw(self, file: Path) -> bool:
        """Plots density over steps, and its mean. Returns whether it could."""
        try:
            from matplotlib.figure import Figure
        except ImportError:  # training and exporting need no more than torch, DeepSpeed and transformers
            return False
        schedule = self.spec.schedule
        steps = sorted({*range(0, schedule.total_steps, max(1, schedule.total_steps // 1000)), schedule.total_steps})
        figure = Figure(figsize=(6, 2.4), layout="constrained")
        axes = figure.add_subplot()
        axes.step(steps, [schedule.density(min(s, schedule.total_steps - 1)) for s in steps], where="post")
        axes.axhline(schedule.density_avg, linestyle="--", linewidth=1, color="gray")
        axes.annotate(
            f"mean {schedule.density_avg:.3f}", (0, schedule.density_avg), (4, -10), textcoords="offset points"
        )
        axes.set(xlabel="step", ylabel="density", xlim=(0, schedule.total_steps), ylim=(0, 1.05))
        figure.savefig(file, dpi=150, metadata={"Software": None})
        return True
