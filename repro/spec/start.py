"""From which weights a run starts, where it isn't its initialisation: those of a model folder or of another run.

Masks are not taken over: a weight that is zero trains again until an event removes it, so what is sparse stays so with
`shape: constant` and its own sparsity. Moments aren't either: a run that starts so has its own learning rates from its
first step on.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any

from pydantic import BeforeValidator

from repro.bounds import STEPS
from repro.errors import UserError
from repro.spec.identity import LABEL, SHA256
from repro.strict import Between, Form, Refusal, dataclass


def _run_spec(value: Any) -> Any:
    """A RunSpec as it is, or from the mapping of one."""
    from repro.spec.run import RunSpec, from_kept  # which has a start itself

    if isinstance(value, RunSpec):
        return value
    try:
        return from_kept(value)
    except UserError as error:
        raise Refusal(error) from error


@dataclass
class ModelStart:
    """The weights of a model folder, of the run's own shape."""

    sha256: Annotated[
        str,
        SHA256,
        "of the weights (models.tensors.digest), wherever they lie",
    ]
    model: Annotated[str, "the folder"] = field(metadata=LABEL)


@dataclass
class RunStart:
    """The weights of another run, which may not be trained yet: that run's spec and a step say which they will be."""

    fingerprint: Annotated[str, Form(pattern="^[0-9a-f]{16}$", said="16 hexadecimal digits"), "of that run's spec"]
    step: Annotated[int, Between(1, STEPS, "steps"), "updates that the run had made"]
    parent: Annotated[Any, BeforeValidator(_run_spec), "that run's spec"] = field(metadata=LABEL)

    def __post_init__(self) -> None:
        if self.parent.fingerprint != self.fingerprint:
            raise UserError(
                "not the spec of its fingerprint",
                key="fingerprint",
                found=self.fingerprint,
                expected=f"{self.parent.fingerprint}, of {self.parent.run_id}",
            )
        if self.step > (total := self.parent.schedule.total_steps):
            raise UserError(
                f"a step that {self.parent.run_id} doesn't have",
                key="step",
                found=self.step,
                expected=f"1 to {total:,}, or end",
            )
