"""Stated numbers are read with the precision with which they are stated."""

from __future__ import annotations

import pytest

from repro.models.card_claims import judge
from repro.models.counts import Counts, Layer

FOUND = Counts(
    (Layer("lm_head.weight", (2, 569_640_960), 1_139_281_920, 227_856_384, "unstructured"),), 1_204_883_456, False
)


@pytest.mark.parametrize(
    ("claim", "stated", "agrees"),
    [
        ("linear_params", "1.14B", True),
        ("linear_params", "1.1B", True),
        ("linear_params", "1B", True),
        ("linear_params", "1.13B", False),
        ("linear_params", "1.15B", False),
        ("linear_params", "1139M", True),
        ("linear_params", "1.139e9", True),
        ("linear_params", "1139281920", True),
        ("linear_params", "1,139,281,921", False),
        ("nonzero_linear_params", ".23B", True),
        ("nonzero_linear_params", ".22b", False),
        ("total_params", "1.20B", True),
        ("average_linear_params", ".45B", True),
        ("average_linear_params", ".22B", False),
        ("average_linear_params", "1.15B", False),
        ("sparsity", ".8", True),
        ("sparsity", "80%", True),
        ("sparsity", "0.8009", True),
        ("sparsity", "0.802", False),
        ("structure", "unstructured", True),
        ("structure", "2:4", False),
    ],
)
def test_a_claim_is_judged_at_its_own_precision(claim: str, stated: str, agrees: bool) -> None:
    [verdict] = judge({claim: stated}, FOUND)
    assert (verdict.claim, verdict.stated, verdict.agrees) == (claim, stated, agrees)
