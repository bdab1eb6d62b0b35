"""Initial weights other than the initialisation: those of a model folder or of another run.

Masks are not inherited: a zero weight trains again until an event removes it, so a sparse model stays sparse only with
`shape: constant` and its own sparsity, which a run has that begins with surgery of single weights. Moments are not inherited
either: such a run has its own learning rates from its first step.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from repro.errors import UserError
from repro.spec.identity import LABEL, LATER, SHA256
from repro.spec.model import ModelSpec
from repro.spec.surgery import SurgerySpec
from repro.strict import dataclass

SurgeryKey = Annotated[SurgerySpec | None, "what is done to the weights before the first step; null: nothing"]


UNREAD = "0" * 64  # in the place of the hash of weights that a plan doesn't read


@dataclass
class ModelStart:
    """The weights of a model folder, with the run's own shape."""

    sha256: Annotated[
        str,
        SHA256,
        "hash of the weights (models.tensors.digest), whatever their path; all zeros in a plan made without the weights",
    ]
    model: Annotated[str, "the model folder"] = field(metadata=LABEL)
    surgery: SurgeryKey = field(default=None, metadata=LATER)
    before: Annotated[ModelSpec | None, "dimensions of the model before surgery; null without surgery"] = field(
        default=None, metadata=LABEL
    )

    @property
    def is_read(self) -> bool:
        """Whether the weights are known; a plan may do without."""
        return self.sha256 != UNREAD

    def __post_init__(self) -> None:
        if (self.surgery is None) != (self.before is None):
            found = "surgery" if self.before is None else "before"
            raise UserError("surgery and before belong together", key=found, found=found, expected="both, or neither")
