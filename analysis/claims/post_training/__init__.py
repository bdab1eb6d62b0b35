"""Claims (p1) to (p8), on training after pruning: the P2 law of arXiv 2411.10272 and its assumptions."""

from __future__ import annotations

from types import ModuleType

from analysis.claims.post_training import baseline, history, law, life, rate, size, tokens, trends

CLAIMS: tuple[ModuleType, ...] = (law, tokens, size, rate, trends, baseline, life, history)
