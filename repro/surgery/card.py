"""Writes a pruned or grown model as a folder that transformers loads, with a card: what was done to it, on which text, the losses."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.ladder import Shape
from repro.models import appearing, card_claims
from repro.models.counts import Counts, count
from repro.models.family import EMBEDDING
from repro.models.folder import CARD, open_model
from repro.models.page import rows_of, section, sparsity_table, table_of, use, written
from repro.surgery.catalogue import GROWTHS, METHODS
from repro.surgery.net import Made, Net


@dataclass(frozen=True)
class SurgeryCard:
    """The contents of a card. facts: what surgery.json holds. counts: of the weights as written. command: makes it again."""

    facts: dict[str, Any]
    before: Shape
    after: Shape
    counts: Counts
    dtype: str
    command: str

    @property
    def grows(self) -> bool:
        return self.facts["method"] in GROWTHS

    @property
    def meaning(self) -> str:
        return (METHODS | GROWTHS)[self.facts["method"]].meaning

    def text(self) -> str:
        tag = "grown" if self.grows else "pruned"
        return written([tag, self.facts["method"]], card_claims.stated(self.counts), self._page(tag))

    def _page(self, tag: str) -> Iterator[str]:
        facts = self.facts
        before, after = facts["params_before"], facts["params_after"]
        yield f"# {facts['model']}, {tag} by {facts['method']}"
        yield ""
        done = (
            f"{before:,} parameters have become {after:,}"
            if self.grows
            else f"{before - after:,} of {before:,} parameters are removed"
        )
        yield f"{done} ({self.meaning}), without training since."
        yield from use()
        yield f"Weights are {self.dtype}{self._zeros()}."
        yield from section(
            "Grown" if self.grows else "Removed", rows_of(self._grown() if self.grows else self._removed())
        )
        yield from section("Counts", self._counted())
        if not self.grows:
            yield from section("Calibration", self._calibrated())
        yield from section("Losses", self._losses())
        if facts.get("structure"):
            yield from section("Sparsity by layer", table_of(*sparsity_table(self.counts)))
        yield from section("Make it again", ("```", self.command, "```", ""))
        yield f"It took {facts['seconds']:,.1f} s and {facts['peak_memory'] / 1e9:.3g} GB of memory at its peak, on the CPU."
        yield ""
        also = "" if self.grows else ", and every block, head, channel or number of weights removed"
        yield f"`surgery.json` holds all of this for machines{also}."

    def _zeros(self) -> str:
        """What is said of stored zeros, if there are any."""
        if self.facts["method"] == "grow-depth-zero" and self.after.layers > self.before.layers:
            return "; o_proj and down_proj of new blocks are zeros until they are trained"
        return "; removed ones are stored as zeros" if self.facts.get("structure") else ""

    def _counted(self) -> Iterator[str]:
        rows = []
        for said, key in (("parameters", "params"), ("in linear layers", "linear")):
            before, after = self.facts[f"{key}_before"], self.facts[f"{key}_after"]
            share = f"{after / before:.4f}" if self.grows else f"{1 - after / before:.4%}"
            rows.append([said, f"{before:,}", f"{after:,}", share])
        yield from table_of(["", "before", "after", "times" if self.grows else "share removed"], rows)

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

    def _removed(self) -> Iterator[tuple[str, str]]:
        facts, before, after = self.facts, self.before, self.after
        yield "method", f"{facts['method']}: {self.meaning}"
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

    def _grown(self) -> Iterator[tuple[str, str]]:
        facts = self.facts
        yield "method", f"{facts['method']}: {self.meaning}"
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


RECORD = "surgery.json"


def write(out: Path, original: Net, made: Made, facts: dict[str, Any], tokenizer: Any, command: str) -> None:
    """Writes the folder, which appears whole or not at all. Raises UserError if there is something at `out` already.

    Args:
        facts: all that is known of the surgery, without places of this machine.
        tokenizer: a transformers tokenizer; None: none is written.
    """
    with appearing.folder(out) as whole:
        made.net.network().save_pretrained(whole, max_shard_size=appearing.SHARD)
        if tokenizer is not None:
            tokenizer.save_pretrained(whole)
        (whole / RECORD).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        card = SurgeryCard(
            facts=facts,
            before=original.spec.shape,
            after=made.net.spec.shape,
            counts=count(open_model(str(whole))),
            dtype=str(made.net.weights[EMBEDDING].dtype).removeprefix("torch."),
            command=command,
        )
        (whole / CARD).write_text(card.text(), encoding="utf-8")
