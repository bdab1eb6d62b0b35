"""Writes a pruned or grown model as a folder that transformers loads: weights, config, tokenizer, card and record."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from repro.models import appearing, counts
from repro.models.appearing import without_places
from repro.models.folder import CARD, open_model
from repro.models.network import EMBEDDING
from repro.surgery.card import GrownCard, PrunedCard
from repro.surgery.grow import Grown
from repro.surgery.methods import Pruned
from repro.surgery.net import Net

RECORD = "surgery.json"
Made = Pruned | Grown


@dataclass(frozen=True)
class HeldOutLosses:
    """Losses before and after, in nats per token, on sequences of a text: name and hash, how many, tokens of each."""

    name: str
    hash: str
    sequences: int
    length: int
    before: float
    after: float


@dataclass(frozen=True)
class Effort:
    """What a command took. seconds: by the clock, losses included. peak_memory: resident set of its process, bytes."""

    seconds: float
    peak_memory: int


def facts_of(model: str, made: Made, held_out: HeldOutLosses | None, effort: Effort) -> dict[str, Any]:
    """All that is known of a surgery, without places of this machine: the record, `model`, effort, `held_out` and the losses."""
    facts = {
        "model": model,
        **made.record.to_dict(),
        **asdict(effort),
        "held_out": None,
        "loss_before": None,
        "loss_after": None,
    }
    if held_out is not None:
        facts |= {"loss_before": held_out.before, "loss_after": held_out.after}
        facts["held_out"] = {key: getattr(held_out, key) for key in ("name", "hash", "sequences", "length")}
    shown: dict[str, Any] = without_places(facts)
    return shown


def write(out: Path, original: Net, made: Made, facts: dict[str, Any], tokenizer: Any, command: str) -> None:
    """Writes the folder, which appears whole or not at all.

    Args:
        out: a new folder.
        original: the model before.
        facts: see `facts_of`.
        tokenizer: a transformers tokenizer; None: none is written.
        command: how to make it again, for the card.

    Raises:
        UserError: there is something at `out` already.
    """
    with appearing.folder(out) as whole:
        made.net.network().save_pretrained(whole, max_shard_size=appearing.SHARD)
        if tokenizer is not None:
            tokenizer.save_pretrained(whole)
        (whole / RECORD).write_text(json.dumps(facts, indent=1), encoding="utf-8")
        card = (GrownCard if isinstance(made, Grown) else PrunedCard)(
            facts=facts,
            before=original.spec.shape,
            after=made.net.spec.shape,
            counts=counts.count(open_model(str(whole))),
            dtype=str(made.net.weights[EMBEDDING].dtype).removeprefix("torch."),
            command=command,
        )
        (whole / CARD).write_text(card.text(), encoding="utf-8")
