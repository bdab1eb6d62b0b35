"""What a page is about: the question at its head, and the claims that have a section of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analysis.claims import AFTER_PRUNING, IN_ANY_DIRECTION, in_any_direction, judged_after_pruning, of_the_paper
from analysis.tables.data import Tables

QUESTION = "Does the average parameter count unify sparse and dense pre-training?"
WHOSE = "The claims of “The Journey Matters” (Jin et al., ICLR 2025)"


@dataclass(frozen=True)
class Subject:
    """Claims with a section of their own.

    Attributes:
        key, title, text: of the section. claims: their names.
        question, whose: at the head of a page that is about these claims alone.
        judged: those of them that a sweep is judged on.
    """

    key: str
    title: str
    text: str
    claims: frozenset[str]
    question: str
    whose: str
    judged: Callable[[Tables], tuple[Any, ...]]


SUBJECTS = (
    Subject(
        "direction",
        "The direction of N(t)",
        "The law in N_avg knows a run by the mean of N(t). These claims of ours ask whether it matters when parameters are there, what they come back as, and by which operator a model grows.",
        frozenset(claim.CLAIM for claim in IN_ANY_DIRECTION),
        "Does it matter when parameters are there, if their average is the same?",
        "Claims of ours on what “The Journey Matters” (Jin et al., ICLR 2025) implies where N(t) rises",
        in_any_direction,
    ),
    Subject(
        "after-pruning",
        "Training after pruning",
        "The P2 law of Chen et al. (arXiv 2411.10272), whose code was never published, on models that were pruned and then trained on. What of its protocol isn't known to us is defined here and marked ours; the average slope difference (ASD) is.",
        frozenset(claim.CLAIM for claim in AFTER_PRUNING),
        "How does a pruned model recover while it trains on?",
        "The P2 law (Chen et al., ACL 2025) and what it takes for granted",
        judged_after_pruning,
    ),
)


def asked(tables: Tables) -> tuple[str, str]:
    """The question at the head of a page, and whose claims it is about."""
    if not of_the_paper(tables):
        for own in SUBJECTS:
            if own.judged(tables):
                return own.question, own.whose
    return QUESTION, WHOSE
