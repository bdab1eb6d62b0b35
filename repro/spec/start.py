"""From which weights a run starts, where it isn't its initialisation: those of a model folder or of another run.

Masks are not taken over: a weight that is zero trains again until an event removes it, so what is sparse stays so with
`shape: constant` and its own sparsity. Moments aren't either: a run that starts so has its own learning rates from its
first step on.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from repro.spec.identity import LABEL, SHA256
from repro.strict import dataclass


@dataclass
class ModelStart:
    """The weights of a model folder, of the run's own shape."""

    sha256: Annotated[
        str,
        SHA256,
        "of the weights (models.tensors.digest), wherever they lie",
    ]
    model: Annotated[str, "the folder"] = field(metadata=LABEL)
