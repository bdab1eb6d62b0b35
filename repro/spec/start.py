"""Initial weights other than the initialisation: those of a model folder or of another run.

Masks are not inherited: a zero weight trains again until an event removes it, so a sparse model stays sparse only with
`shape: constant` and its own sparsity. Moments are not inherited either: such a run has its own learning rates from its
first step.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from repro.spec.identity import LABEL, SHA256
from repro.strict import dataclass


@dataclass
class ModelStart:
    """The weights of a model folder, with the run's own shape."""

    sha256: Annotated[
        str,
        SHA256,
        "hash of the weights (models.tensors.digest), independent of their path",
    ]
    model: Annotated[str, "the model folder"] = field(metadata=LABEL)
