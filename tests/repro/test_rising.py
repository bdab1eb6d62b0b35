"""Schedules in which weights come back: mirror images, sparse then dense, pieces as written, and masks that move."""

import itertools
import math
from dataclasses import replace

import pytest

from repro.errors import UserError
from repro.schedule import FALLING, Declared, Moves, PruningSchedule
from repro.spec import MovesSpec, OptimizerSpec

PRUNABLE = 26_003
WINDOWS = [(0.0, 0.25), (0.25, 0.75), (0.5, 1.0)]
FALL = [
    Declared(508, sparsity, shape, *window, 7)
    for sparsity, shape, window in itertools.product((0.2, 0.8), FALLING, WINDOWS)
]
OTHERS = [
    Declared(508, 0.8, "constant"),
    Declared(508, 0.75, "static_dense", end=0.5),
    Declared(508, 0.0),
    Declared(508, 0.8, "saw_tooth", 0.0, 1.0, teeth=1),
    Declared(508, 0.8, "saw_tooth", teeth=3),
    Declared(508, 0.8, "pieces", pieces=((0, 0.5), (0.1, 0.2), (0.4, 1), (1000, 0.31))),
]


def counts(schedule: PruningSchedule) -> list[int]:
    """Weights in the forward pass of each step, as a trainer counts them that only knows of events."""
    there, found = PRUNABLE, []
    for step in range(schedule.total_steps):
        event = schedule.event_at(step)
        if event is not None:
            given_back = schedule.kept(event, PRUNABLE) - there
            assert given_back >= 0 if schedule.rises(event) else given_back <= 0
            there = schedule.kept(event, PRUNABLE)
        found.append(there)
    return found


@pytest.mark.parametrize("asked", FALL + OTHERS, ids=lambda asked: f"{asked.shape}-{asked.sparsity}-{asked.start}")
def test_a_mirror_image_is_the_same_life_backwards_to_the_weight(asked: Declared) -> None:
    falling = PruningSchedule.resolve(asked)
    rising = PruningSchedule.resolve(replace(asked, mirror=True))
    assert counts(rising) == counts(falling)[::-1]
    assert rising.total_steps == falling.total_steps
    assert rising.weight_steps(PRUNABLE) == falling.weight_steps(PRUNABLE) == sum(counts(falling))
    assert rising.density_avg == falling.density_avg
    assert rising.compute == pytest.approx(falling.compute, rel=1e-12)
    assert rising.n_fewest(PRUNABLE) == falling.n_fewest(PRUNABLE) == min(counts(falling))
    assert rising.n_final(PRUNABLE) == counts(falling)[0]
    assert rising.mirrored() == falling


@pytest.mark.parametrize("asked", FALL, ids=lambda asked: f"{asked.shape}-{asked.sparsity}-{asked.start}")
def test_a_mirrored_run_is_cut_at_step_0_and_gives_back_at_every_other_event(asked: Declared) -> None:
    falling = PruningSchedule.resolve(asked)
    rising = falling.mirrored()
    assert not falling.returns
    assert not any(map(falling.rises, range(falling.events)))
    assert [rising.rises(event) for event in range(rising.events)] == [False] + [True] * (rising.events - 1)
    assert rising.event_steps[0] == 0
    assert [rising.total_steps - step for step in rising.event_steps[1:]] == [
        *reversed(falling.event_steps if falling.start_step else falling.event_steps[1:])
    ]


def test_spdf_is_sparse_for_its_share_of_compute_and_then_dense() -> None:
    schedule = PruningSchedule.resolve(Declared(1000, 0.75, "static_dense", end=0.5))
    assert counts(schedule) == [PRUNABLE // 4] * 2000 + [PRUNABLE] * 500
    assert schedule.compute_at_end == 0.5
    assert (schedule.event_steps, schedule.rises(0), schedule.rises(1)) == ((0, 2000), False, True)


def test_ac_dc_is_sparse_and_dense_for_equally_many_steps_between_its_shares_of_compute_and_ends_sparse() -> None:
    schedule = PruningSchedule.resolve(Declared(1000, 0.75, "saw_tooth", 0.2, 0.7, teeth=4))
    assert schedule.densities.weights == (1.0, *(0.25, 1.0) * 4, 0.25)
    assert schedule.densities.lengths == (200, *[100] * 8, 1200)
    assert schedule.compute == 1000
    assert [schedule.rises(event) for event in range(schedule.events)] == [False, True] * 4 + [False]


def test_pieces_begin_at_shares_of_compute_or_at_steps() -> None:
    pieces = ((0, 1.0), (0.25, 0.5), (900, 0.25), (0.75, 1.0))
    schedule = PruningSchedule.resolve(Declared(1000, 0.75, "pieces", pieces=pieces))
    # 250 dense steps are a quarter; 650 at one half are 325 more, and the 175 up to three quarters take 700 at one quarter.
    assert schedule.densities.first_steps == (0, 250, 900, 1600)
    assert schedule.total_steps == 1850
    assert schedule.compute == 1000


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (Declared(1000, 0.5, "pieces", pieces=((0, 0.4), (0.5, 1.0))), "sparsity"),
        (Declared(1000, 0.5, "pieces", pieces=((0, 0.5), (0.5, 0.5))), "pieces"),
        (Declared(1000, 0.5, "pieces", pieces=((0.1, 0.5), (0.5, 1.0))), "pieces"),
        (Declared(1000, 0.5, "pieces", pieces=((0, 0.5), (0.5, 1.0), (0.4, 0.5))), "pieces"),
        (Declared(1000, 0.5, "pieces", pieces=((0, 0.5), (2500, 1.0))), "pieces"),
        (Declared(1000, 0.5, "pieces", pieces=((0, 0.5), (20.5, 1.0))), "pieces"),
        (Declared(1000, 0.5, "pieces", pieces=((0, 0.5), (0.5, math.nan))), "pieces"),
        (Declared(1000, 0.5, "pieces", pieces=()), "pieces"),
        (Declared(1000, 0.5, "static_dense", end=1.0), "end"),
        (Declared(3, 0.5, "static_dense", end=0.9), "end"),
        (Declared(40, 0.5, "saw_tooth", teeth=40), "teeth"),
        (Declared(40, 0.5, "saw_tooth", teeth=0), "teeth"),
        (Declared(1000, 0.5, "constant", moves=Moves(5000, 0.3, "cosine", 0.75)), "moves.every"),
        (Declared(1000, 0.5, "geometric", moves=Moves(10, 0.3, "cosine", 0.75)), "moves"),
    ],
)
def test_changes_that_do_not_fit_into_a_run_are_refused_by_name(asked: Declared, key: str) -> None:
    with pytest.raises(UserError) as error:
        PruningSchedule.resolve(asked)
    assert error.value.key == key
    assert error.value.expected


def test_a_mask_moves_at_an_interval_by_a_share_that_falls_to_nothing() -> None:
    cosine, constant = (
        PruningSchedule.resolve(Declared(200, 0.8, "constant", moves=Moves(100, 0.3, decay, 0.75)))
        for decay in ("cosine", "constant")
    )
    kept = PRUNABLE // 5
    assert cosine.event_steps == constant.event_steps == tuple(range(0, 750, 100))
    assert counts(cosine) == [kept] * 1000
    assert cosine.returns
    assert not any(map(cosine.rises, range(cosine.events)))
    assert [constant.moved(event, PRUNABLE) for event in range(8)] == [0] + [math.floor(0.3 * kept)] * 7
    moved = [cosine.moved(event, PRUNABLE) for event in range(8)]
    assert moved[:2] == [0, math.floor(0.3 * kept)]
    assert moved[4] == pytest.approx(0.15 * kept * (1 + math.cos(math.pi * 300 / 650)), abs=1)  # RigL's decay
    assert moved[1:] == sorted(moved[1:], reverse=True)


def test_rates_over_compute_are_those_of_the_mirror_image_at_equal_compute_and_so_is_their_product_with_n() -> None:
    falling = PruningSchedule.resolve(Declared(2000, 0.8, interval=20))
    rising = falling.mirrored()
    over_compute = OptimizerSpec(1e-2, 8, lr_schedule="cosine_compute")

    def paid(optimizer: OptimizerSpec, schedule: PruningSchedule) -> float:
        return sum(optimizer.lr_at(step, schedule) * schedule.density(step) for step in range(schedule.total_steps))

    assert paid(over_compute, rising) == pytest.approx(paid(over_compute, falling), rel=1e-3)
    over_steps = replace(over_compute, lr_schedule="cosine")
    assert paid(over_steps, rising) < 0.8 * paid(over_steps, falling)  # its rates are high while it is small
    for step in range(0, rising.total_steps, 100):
        spent = rising.compute_at(step)
        alike = min(range(falling.total_steps), key=lambda other: abs(falling.compute_at(other) - spent))
        assert over_compute.lr_at(step, rising) == pytest.approx(over_compute.lr_at(alike, falling), rel=0.02)


@pytest.mark.parametrize(
    ("pruning", "key"),
    [
        ({"moves": MovesSpec(10)}, "moves"),
        ({"pieces": ((0, 0.2), (0.5, 1.0))}, "pieces"),
        ({"shape": "pieces"}, "pieces"),
        ({"teeth": 3}, "teeth"),
        ({"shape": "pieces", "pieces": ((0, 0.2, 1.0),)}, "pieces"),
        ({"fill": "draw"}, "fill"),
        ({"choose": "gradient", "shape": "constant"}, "choose"),
        ({"structure": "4:8", "sparsity": 0.5, "shape": "constant", "moves": MovesSpec(10)}, "structure"),
        ({"structure": "4:8", "sparsity": 0.5, "distribution": "erdos_renyi"}, "structure"),
        ({"do_not_prune": ("lm_head",), "mirror": True, "sparsity": 0.9}, "do_not_prune"),
    ],
)
def test_a_spec_refuses_keys_that_its_numbers_of_weights_have_no_use_for(make_spec, pruning, key) -> None:
    with pytest.raises(UserError) as error:
        make_spec(**pruning)
    assert error.value.key == key


def test_what_a_spec_says_of_returned_weights_is_its_own_identity_and_its_defaults_are_no_part_of_any(
    make_spec,
) -> None:
    rising = make_spec(mirror=True)
    others = [make_spec(mirror=True, **one) for one in ({"choose": "last"}, {"fill": "draw"}, {"score": "random"})]
    assert len({spec.fingerprint for spec in (make_spec(), rising, *others)}) == 5
    assert make_spec().fingerprint == replace(rising, pruning=replace(rising.pruning, mirror=False)).fingerprint
