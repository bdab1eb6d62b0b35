"""The fit on Epoch's 240 Chinchilla points, beside others' ways: time to the minimum, and which minimum.

python -m bench.fit [--points ../shared/data/epoch_chinchilla/svg_extracted_data.csv] [--starts 300]

One thread. Without the points a table of 240 rows is drawn from the published constants instead, and the output says so.
The package `chinchilla` is taken along where it is installed (pip install -r bench/requirements.txt).
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy is loaded

import functools
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib import metadata, util
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy import optimize, special

from analysis.fits.fit import FitResult, fit
from analysis.fits.objective import Objective
from analysis.fits.resample import bootstrap
from analysis.laws.law import Array
from analysis.laws.registry import CHINCHILLA
from analysis.tables import table
from analysis.worlds import simulated_table
from bench import made_on, parser

POINTS = Path("../shared/data/epoch_chinchilla/svg_extracted_data.csv")
T = TypeVar("T")
DELTA, RESAMPLES, REPEATS = 1e-3, 4000, 7
# Epoch's starts (Besiroglu et al. 2024): logarithms of A, B and E, then the exponents.
STARTS = {
    "a": np.arange(0, 30, 5.0),
    "b": np.arange(0, 30, 5.0),
    "e": np.arange(-1, 1.5, 0.5),
    "alpha": np.arange(0, 2.5, 0.5),
    "beta": np.arange(0, 2.5, 0.5),
}


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--points", type=Path, default=POINTS, help="Epoch's CSV (%(default)s)")
    options.add_argument(
        "--starts", type=int, default=300, help="of scipy's 4,500 starts, how many are timed (%(default)s)"
    )
    given = options.parse_args()
    print(made_on())
    columns, loss = points(given.points)
    times, result = timed(lambda: fit(CHINCHILLA, columns, loss), REPEATS)
    ours = statistics.median(times)
    print(
        f"ours, point fit: median {ours:.3f} s of {REPEATS} [{min(times):.3f}, {max(times):.3f}], objective {result.objective:.12g}, "
        f"{result.starts_agreeing} of {result.starts} starts agree"
    )
    again, drawn = timed(lambda: bootstrap(result, columns, loss, resamples=RESAMPLES, rng=np.random.default_rng(0)), 3)
    widths = ", ".join(
        f"{name} [{found[0]:.5g}, {found[1]:.5g}]" if found else f"{name} none"
        for name, found in drawn.interval().items()
    )
    print(f"ours, {RESAMPLES:,} resamples: median {statistics.median(again):.2f} s of 3; {widths}")
    scipy_(columns, loss, result, ours, given.starts)
    chinchilla_(columns, loss, result, ours)
    return 0


def points(file: Path) -> tuple[dict[str, Array], Array]:
    """Epoch's rows but the five largest losses, or drawn ones."""
    if file.is_file():
        names = {"N": "Model Size", "C": "Training FLOP"}
        whole = table.read(str(file), [CHINCHILLA], columns=names)
        kept = whole.where(whole.loss < np.sort(whole.loss)[-5])
        print(f"{len(kept)} points of {file.name}, Huber {DELTA:g} on log residuals, summed; one thread")
        return {name: kept.columns[name] for name in CHINCHILLA.columns}, kept.loss
    rng = np.random.default_rng(0)
    columns = {"N": rng.uniform(17.5, 23.5, 240), "D": rng.uniform(19, 26, 240)}
    columns = {name: np.exp(values) for name, values in columns.items()}
    loss = simulated_table.losses(CHINCHILLA, simulated_table.truth(CHINCHILLA), columns, 0.02, rng)[0]
    print(
        "240 points DRAWN from Hoffmann's constants (Epoch's file isn't there); Huber 1e-3 on log residuals, summed; one thread"
    )
    return columns, loss


def timed(work: Callable[[], T], repeats: int) -> tuple[list[float], T]:
    """Seconds of each repeat, and the last result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - start)
    return seconds, found


def scipy_(columns: dict[str, Array], loss: Array, result: FitResult, ours: float, count: int) -> None:
    """L-BFGS-B with finite differences from a sample of Epoch's starts, as the published code does."""
    size, data, target = np.log(columns["N"]), np.log(columns["D"]), np.log(loss)

    def objective(x: Array) -> float:
        a, b, e, alpha, beta = x
        predicted = special.logsumexp([a - alpha * size, b - beta * data, np.full_like(size, e)], axis=0)
        return float(Objective(delta=DELTA).rows(predicted - target).sum())

    whole = list(itertools.product(*STARTS.values()))
    chosen = np.random.default_rng(0).choice(len(whole), size=min(count, len(whole)), replace=False)
    ends, success, start = [], 0, time.perf_counter()
    for i in chosen:
        found = optimize.minimize(objective, whole[i], method="L-BFGS-B")
        ends.append(found.fun)
        success += bool(found.success)
    seconds = time.perf_counter() - start
    scaled = seconds / len(chosen) * len(whole)
    values = np.array(ends)
    near = float(np.mean(values <= result.objective * 1.01))
    print(
        f"scipy L-BFGS-B, finite differences: {len(chosen)} of Epoch's {len(whole):,} starts in {seconds:.1f} s, so {scaled:.0f} s for all "
        f"(scaled); best {np.nanmin(values):.12g}; success claimed by {success / len(chosen):.0%}, within 1% of the minimum {near:.0%}"
    )
    print(f"  x{scaled / ours:,.0f} of ours; our objective less its best: {result.objective - np.nanmin(values):+.2e}")


def chinchilla_(columns: dict[str, Array], loss: Array, result: FitResult, ours: float) -> None:
    """The package's own fit from a coarser grid of the same ranges, scaled to as many starts."""
    if util.find_spec("chinchilla") is None:
        print("chinchilla isn't installed: pip install -r bench/requirements.txt")
        return
    from chinchilla import Chinchilla
    from chinchilla._metrics import log_huber

    grid = {name: STARTS[name][::2] for name in ("e", "a", "b", "alpha", "beta")}
    starts = int(np.prod([len(values) for values in grid.values()]))
    with tempfile.TemporaryDirectory() as folder:
        package = Chinchilla(folder, param_grid=grid, loss_fn=functools.partial(log_huber, delta=DELTA), log_level=50)
        for n, d, value in zip(columns["N"], columns["D"], loss, strict=True):
            package.database.append(N=n, D=d, loss=value)
        package.visualizer.optim = lambda *_, **__: None  # its pictures are not what is timed
        start = time.perf_counter()
        with np.errstate(all="ignore"):
            package.fit(parallel=False)
        seconds = time.perf_counter() - start
    found = package.get_params()
    theta = np.array([found[name] for name in CHINCHILLA.names])
    objective = float(Objective(delta=DELTA).rows(np.log(CHINCHILLA.predict(theta, columns)) - np.log(loss)).sum())
    whole = int(np.prod([len(values) for values in STARTS.values()]))
    scaled = seconds / starts * whole
    print(
        f"chinchilla {metadata.version('chinchilla')}, BFGS on the mean: {starts} starts in {seconds:.1f} s, so {scaled:.0f} s for {whole:,} "
        f"(scaled); its best as a sum {objective:.12g}, {objective / result.objective - 1:+.2%} over ours"
    )
    print(f"  x{scaled / ours:,.0f} of ours; x{seconds / ours:,.0f} with the {starts} starts alone")


if __name__ == "__main__":
    raise SystemExit(main())
