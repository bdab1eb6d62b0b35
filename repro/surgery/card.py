"""The model card of a pruned model: what it was, what was removed and by what, on which text, and the losses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from repro.ladder import Shape
from repro.models import card_claims
from repro.models.counts import Counts
from repro.models.counts_table import table
from repro.models.page import rows_of, table_of, written
from repro.surgery.catalogue import METHODS


@dataclass(frozen=True)
class SurgeryCard:
    """The contents of a card.

    Attributes:
        facts: what surgery.json holds; see written.facts_of.
        before, after: dimensions.
        counts: of the weights as written.
        dtype: type of the weights.
        command: how to make it again.
    """

    facts: dict[str, Any]
    before: Shape
    after: Shape
    counts: Counts
    dtype: str
    command: str

    def text(self) -> str:
        matter = {
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": ["pruned", self.facts["method"]],
            card_claims.KEY: card_claims.stated(self.counts),
        }
        return written(matter, self._page())

    def _page(self) -> Iterator[str]:
        facts = self.facts
        yield f"# {facts['model']}, pruned by {facts['method']}"
        yield ""
        yield (
            f"{facts['params_before'] - facts['params_after']:,} of {facts['params_before']:,} parameters are removed "
            f"({METHODS[facts['method']].meaning}), without training since."
        )
        yield from _section("Use")
        yield "```python"
        yield "from transformers import pipeline"
        yield ""
        yield 'pipeline("text-generation", model="THIS FOLDER OR ITS ID")("Once upon a time", max_new_tokens=40)'
        yield "```"
        yield ""
        yield f"Weights are {self.dtype}{'; removed ones are stored as zeros' if facts['structure'] else ''}."
        yield from _section("Removed")
        yield from rows_of(self._removed())
        yield from _section("Counts")
        yield from table_of(["", "before", "after", "share removed"], list(self._counted()))
        yield from _section("Calibration")
        yield from self._calibrated()
        yield from _section("Losses")
        yield from self._losses()
        if facts["structure"]:
            yield from _section("Sparsity by layer")
            yield from table_of(*table(self.counts))
        yield from _section("Make it again")
        yield from ("```", self.command, "```", "")
        yield f"It took {facts['seconds']:,.1f} s and {facts['peak_memory'] / 1e9:.3g} GB of memory at its peak, on the CPU."
        yield ""
        yield "`surgery.json` holds all of this for machines, and every block, head, channel or number of weights removed."

    def _removed(self) -> Iterator[tuple[str, str]]:
        facts, before, after = self.facts, self.before, self.after
        yield "method", f"{facts['method']}: {METHODS[facts['method']].meaning}"
        asked = (
            "as its structure says, in all blocks" if facts["rate"] is None else f"{facts['rate']:g} of all parameters"
        )
        yield "asked for", asked
        if facts["structure"]:
            yield "structure", facts["structure"]
        if facts["seed"] is not None:
            yield "seed", str(facts["seed"])
        for name, value in facts["settings"].items():
            if name != "groups":  # which stand below
                yield name, str(value)
        removed = facts["removed"]
        if "blocks" in removed:
            yield "blocks, from 0", f"{', '.join(map(str, removed['blocks']))}; {after.layers} of {before.layers} stay"
        if "channels" in removed:
            yield "groups of heads, of each block", f"{before.kv - after.kv} of {before.kv}"
            yield "channels, of each block", f"{before.mlp - after.mlp:,} of {before.mlp:,}"
        if "weights" in removed:
            kinds: Counter[str] = Counter()
            for name, count in removed["weights"].items():
                kinds[name.split(".")[-2]] += count
            for kind, count in kinds.items():
                yield f"weights of {kind}", f"{count:,}"

    def _counted(self) -> Iterator[list[str]]:
        for said, key, rate in (("parameters", "params", "rate_all"), ("in linear layers", "linear", "rate_linear")):
            before, after = self.facts[f"{key}_before"], self.facts[f"{key}_after"]
            yield [said, f"{before:,}", f"{after:,}", f"{self.facts[rate]:.4%}"]

    def _calibrated(self) -> Iterator[str]:
        if (text := self.facts["calibration"]) is None:
            method = METHODS[self.facts["method"]]
            does = "draws what goes" if method.seeded else "looks at weights alone"
            yield f"None: {'nothing was removed' if self.facts['rate'] == 0 else f'the method {does}'}."
            return
        yield from rows_of(
            [
                ("text", f"{text['name']} (hash {text['hash']})"),
                ("sequences", f"{text['sequences']:,} of {text['length']:,} tokens, drawn with seed {text['seed']}"),
                ("hash of its tokens", text["tokens_hash"]),
            ]
        )
        yield ""
        yield "Another calibration set gives another model and another loss."

    def _losses(self) -> Iterator[str]:
        if (held_out := self.facts["held_out"]) is None:
            yield "None was taken: no text was given."
            return
        losses = self.facts["loss_before"], self.facts["loss_after"]
        yield from table_of(
            ["", "before", "after"],
            [
                ["nats a token", *(f"{loss:.4f}" for loss in losses)],
                ["perplexity, of these tokens", *(f"{perplexity(loss):,.2f}" for loss in losses)],
            ],
        )
        yield ""
        yield (
            f"Of {held_out['name']} (hash {held_out['hash']}): {held_out['sequences']:,} sequences of "
            f"{held_out['length']:,} tokens, none of which is a calibration sequence."
        )


def perplexity(loss: float) -> float:
    """e to the loss; infinite where no float holds it."""
    return math.exp(loss) if loss < 700 else math.inf


def _section(title: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")
