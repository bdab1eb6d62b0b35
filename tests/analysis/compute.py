"""Sweeps over budgets drawn from E + A/N^alpha + B/D^beta, whose best size goes as C^(beta / (alpha + beta))."""

from __future__ import annotations

import numpy as np

from analysis.laws.law import Array
from analysis.laws.registry import CHINCHILLA

BESIROGLU = np.array([1.8169, 482.01, 0.34781, 2085.43, 0.36585])
HOFFMANN = np.array([1.6934, 406.4, 0.3392, 410.7, 0.2849])
LOPSIDED = np.array([1.7, 300.0, 0.45, 600.0, 0.25])  # small sizes lose much more than large ones

Sweep = tuple[Array, Array, Array, Array]


def a_n(theta: Array) -> float:
    _, _, alpha, _, beta = theta
    return float(beta / (alpha + beta))


def best_size(theta: Array, flops: Array) -> Array:
    _, a, alpha, b, beta = theta
    return np.asarray((alpha * a / (beta * b)) ** (1 / (alpha + beta)) * (flops / 6) ** (beta / (alpha + beta)))


def budgets(
    theta: Array, count: int = 5, sizes: int = 7, wide: float = 4.0, *, last: float = 10**20.5, drift: float = 0.0
) -> Sweep:
    """N, C, D and the loss without noise: sizes up to `wide` times and down to 1 / `wide` of the best one.

    Where sizes `drift`, their middle goes from exp(-drift/2) to exp(drift/2) times the best one over the budgets.
    """
    flops = np.repeat(np.geomspace(1e18, last, count), sizes)
    off = np.exp(drift * np.repeat(np.linspace(-0.5, 0.5, count), sizes))
    size = best_size(theta, flops) * off * np.tile(np.geomspace(1 / wide, wide, sizes), count)
    return _with_loss(theta, size, flops)


def curves(theta: Array, count: int = 9, apart: float = 2.0, points: int = 60) -> Sweep:
    """Training curves of sizes that lie `apart`, from half a token a parameter on."""
    size = np.repeat(1e8 * apart ** np.arange(count), points)
    return _with_loss(theta, size, 6 * size**2 * np.tile(np.geomspace(0.5, 400, points), count))


def _with_loss(theta: Array, size: Array, flops: Array) -> Sweep:
    tokens = flops / (6 * size)
    return size, flops, tokens, CHINCHILLA.predict(theta, {"N": size, "D": tokens})


def noisy(loss: Array, sigma: float, rng: np.random.Generator) -> Array:
    return np.asarray(loss * np.exp(sigma * rng.standard_normal(len(loss)) / loss))


def noisy_curves(size: Array, loss: Array, level: float, jitter: float, rng: np.random.Generator) -> Array:
    """Each curve off by one amount as a whole, and by another at each point."""
    _, own = np.unique(size, return_inverse=True)
    wholes = level * rng.standard_normal(own.max() + 1)
    return np.asarray(loss + wholes[own] + jitter * rng.standard_normal(len(loss)))
