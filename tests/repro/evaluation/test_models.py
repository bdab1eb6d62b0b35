"""A run that is opened for evaluation is a transformers model like any other."""

from __future__ import annotations

from pathlib import Path

import torch

from repro.corpus import Corpus
from repro.evaluation.models import load

CPU = torch.device("cpu")


def test_a_run_generates_alike_with_a_cache_and_without_and_leaves_padding_out(
    results: Path, text: Corpus, text_root: Path
) -> None:
    network = load(str(results / "runs" / "sparse"), None, CPU, str(text_root), text).network
    tokens = torch.arange(4, 12).view(2, 4)
    made = [
        network.generate(tokens, max_new_tokens=6, do_sample=False, use_cache=cached, pad_token_id=0)
        for cached in (True, False)
    ]
    assert torch.equal(*made)
    padded = torch.cat([torch.zeros(2, 3, dtype=torch.int64), tokens], dim=1)
    seen = (torch.arange(7) >= 3).expand(2, 7)
    places = (seen.long().cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        alone = network(input_ids=tokens).logits
        beside = network(input_ids=padded, attention_mask=seen.long(), position_ids=places).logits[:, 3:]
    torch.testing.assert_close(beside, alone)
