"""The model card of a pruned or grown model: what it was, what was done to it, on which text, and the losses."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from repro.ladder import Shape
from repro.models import card_claims
from repro.models.counts import Counts
from repro.models.counts_table import table
from repro.models.page import rows_of, section, table_of, use, written
from repro.surgery.catalogue import GROWTHS, METHODS


@dataclass(frozen=True)
class SurgeryCard(ABC):
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

    tag: ClassVar[str]  # what it is now, in a word

    def text(self) -> str:
        matter = {
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": [self.tag, self.facts["method"]],
            card_claims.KEY: card_claims.stated(self.counts),
        }
        return written(matter, self._page())

    def _page(self) -> Iterator[str]:
        facts = self.facts
        yield f"# {facts['model']}, {self.tag} by {facts['method']}"
        yield ""
        yield self._summary()
        yield from use()
        yield f"Weights are {self.dtype}{self._zeros()}."
        yield from self._change()
        yield from section("Losses")
        yield from self._losses()
        yield from self._by_layer()
        yield from section("Make it again")
        yield from ("```", self.command, "```", "")
        yield f"It took {self.facts['seconds']:,.1f} s and {self.facts['peak_memory'] / 1e9:.3g} GB of memory at its peak, on the CPU."
        yield ""
        yield f"`surgery.json` holds all of this for machines{self._also()}."

    @abstractmethod
    def _summary(self) -> str:
        """A sentence that says what it is."""

    @abstractmethod
    def _zeros(self) -> str:
        """What is said of stored zeros, if there are any."""

    @abstractmethod
    def _change(self) -> Iterator[str]:
        """The sections that say what was done."""

    def _by_layer(self) -> Iterator[str]:
        """A section on sparsity, if there is any."""
        yield from ()

    def _also(self) -> str:
        """What the record says besides."""
        return ""

    def _counted(self, share: str, share_of: Callable[[int, int], str]) -> Iterator[str]:
        rows = []
        for said, key in (("parameters", "params"), ("in linear layers", "linear")):
            before, after = self.facts[f"{key}_before"], self.facts[f"{key}_after"]
            rows.append([said, f"{before:,}", f"{after:,}", share_of(before, after)])
        yield from table_of(["", "before", "after", share], rows)

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


class PrunedCard(SurgeryCard):
    """The card of a model that has lost something."""

    tag = "pruned"

    def _summary(self) -> str:
        facts = self.facts
        return (
            f"{facts['params_before'] - facts['params_after']:,} of {facts['params_before']:,} parameters are removed "
            f"({METHODS[facts['method']].meaning}), without training since."
        )

    def _zeros(self) -> str:
        return "; removed ones are stored as zeros" if self.facts["structure"] else ""

    def _change(self) -> Iterator[str]:
        yield from section("Removed")
        yield from rows_of(self._removed())
        yield from section("Counts")
        yield from self._counted("share removed", lambda before, after: f"{1 - after / before:.4%}")
        yield from section("Calibration")
        yield from self._calibrated()

    def _by_layer(self) -> Iterator[str]:
        if self.facts["structure"]:
            yield from section("Sparsity by layer")
            yield from table_of(*table(self.counts))

    def _also(self) -> str:
        return ", and every block, head, channel or number of weights removed"

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


class GrownCard(SurgeryCard):
    """The card of a model that has become larger."""

    tag = "grown"

    def _summary(self) -> str:
        facts = self.facts
        return (
            f"{facts['params_before']:,} parameters have become {facts['params_after']:,} "
            f"({GROWTHS[facts['method']].meaning}), without training since."
        )

    def _zeros(self) -> str:
        is_zero = self.facts["method"] == "grow-depth-zero" and self.after.layers > self.before.layers
        return "; o_proj and down_proj of new blocks are zeros until they are trained" if is_zero else ""

    def _change(self) -> Iterator[str]:
        yield from section("Grown")
        yield from rows_of(self._grown())
        yield from section("Counts")
        yield from self._counted("times", lambda before, after: f"{after / before:.4f}")

    def _grown(self) -> Iterator[tuple[str, str]]:
        facts = self.facts
        yield "method", f"{facts['method']}: {GROWTHS[facts['method']].meaning}"
        yield "factor", str(facts["factor"])
        if facts["seed"] is not None:
            yield "seed", str(facts["seed"])
        for name, value in facts["settings"].items():
            yield name, f"{value:g}, root mean square, relative"
        for name in ("d_model", "layers", "heads", "kv", "mlp"):
            yield name, f"{getattr(self.before, name):,} -> {getattr(self.after, name):,}"


def perplexity(loss: float) -> float:
    """e to the loss; infinite where no float holds it."""
    return math.exp(loss) if loss < 700 else math.inf
