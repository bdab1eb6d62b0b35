"""The inverse Hessian of a linear layer's error."""

from __future__ import annotations

import torch

from repro.errors import UserError

DAMP = 0.01  # added to the diagonal, as a share of its mean


def inverse(hessian: torch.Tensor, damp: float = DAMP) -> torch.Tensor:
    """The inverse of a damped Hessian, (inputs, inputs) float64.

    Inputs that are always zero get a diagonal of 1, so that they are independent of all others.

    Raises:
        UserError: it isn't positive definite.
    """
    damped = hessian.double().clone()
    damped.diagonal()[dead(damped)] = 1
    damped.diagonal().add_(damp * damped.diagonal().mean())
    return torch.cholesky_inverse(_factor(damped))


def upper_factor(inverse_hessian: torch.Tensor) -> torch.Tensor:
    """U, upper triangular, with U^T U the inverse Hessian: row j is what is left to compensate column j with."""
    return _factor(inverse_hessian).T


def dead(hessian: torch.Tensor) -> torch.Tensor:
    """Inputs that are always zero, (inputs,) bool."""
    return hessian.diagonal() == 0


def _factor(matrix: torch.Tensor) -> torch.Tensor:
    factor, fault = torch.linalg.cholesky_ex(matrix)
    if int(fault):
        found = f"its leading minor {int(fault)} of {len(matrix)}"
        expected = "more calibration text, or more damping"
        raise UserError("a Hessian that is not positive definite", found=found, expected=expected)
    return factor
