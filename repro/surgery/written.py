"""Writes a pruned or grown model as a folder that transformers loads: weights, config, tokenizer, card and record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from repro.models import appearing, counts
from repro.models.folder import CARD, open_model
from repro.models.network import EMBEDDING
from repro.surgery.card import SurgeryCard
from repro.surgery.net import Made, Net

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
            counts=counts.count(open_model(str(whole))),
            dtype=str(made.net.weights[EMBEDDING].dtype).removeprefix("torch."),
            command=command,
        )
        (whole / CARD).write_text(card.text(), encoding="utf-8")
