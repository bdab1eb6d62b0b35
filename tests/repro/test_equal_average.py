"""Shapes at the steps and the average of a falling schedule."""

import itertools

import pytest

from repro.errors import UserError
from repro.schedule import Declared, PruningSchedule
from repro.spec import MovesSpec, PruningSpec

PRUNABLE = 48_001
KINDS = [
    PruningSpec(0.8, shape="constant"),
    PruningSpec(0.8, shape="constant", moves=MovesSpec(50)),
    PruningSpec(0.8, shape="static_dense"),
    PruningSpec(0.8, shape="saw_tooth"),
    PruningSpec(0.8, shape="saw_tooth", start=0.1, teeth=2, mirror=True),
]


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_every_shape_of_one_sparse_density_takes_the_steps_of_a_falling_one_and_its_average_to_the_weight(kind) -> None:
    for sparsity, dense_steps in itertools.product((0.4, 0.8), (254, 508, 1016)):
        falling = PruningSchedule.resolve(Declared(dense_steps, sparsity, interval=10))
        wanted = PruningSpec(**{**vars(KINDS[kind]), "sparsity": sparsity})
        found = wanted.at_average(falling, PRUNABLE, dense_steps)
        schedule = found.schedule(dense_steps)
        assert schedule.total_steps == falling.total_steps
        assert schedule.n_avg(PRUNABLE) == pytest.approx(falling.n_avg(PRUNABLE), abs=1)
        assert (found.shape, found.teeth, found.moves, found.mirror) == (
            wanted.shape,
            wanted.teeth,
            wanted.moves,
            wanted.mirror,
        )
        if wanted.shape == "constant":
            assert found.sparsity == pytest.approx(1 - falling.density_avg, abs=1e-4)
        else:  # one step more or less of the sparse phases is what the sparsity takes up
            assert found.sparsity == pytest.approx(sparsity, rel=5 / dense_steps)


def test_a_shape_without_that_average_is_refused() -> None:
    falling = PruningSchedule.resolve(Declared(508, 0.8, interval=10))
    with pytest.raises(UserError, match="not of one sparse density"):
        PruningSpec(0.8, shape="linear").at_average(falling, PRUNABLE, 508)
    with pytest.raises(UserError, match="no schedule of this shape has that average"):
        PruningSpec(0.4, shape="static_dense").at_average(falling, PRUNABLE, 508)  # which is sparser throughout
