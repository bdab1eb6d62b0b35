"""Mirrored sets are found by their columns."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.tables.mirrored import KINDS, mirrored_sets
from analysis.tables.schedules import weighted_counts
from analysis.worlds.simulated_programme import in_tables
from tests.analysis import mirrored_worlds
from tests.analysis.mirrored_worlds import ArrowTruth


def test_members_controls_and_dense_runs_of_each_set() -> None:
    found = mirrored_sets(in_tables(mirrored_worlds.simulate(growth=False)))
    assert [own.name for own in found] == ["25k 20t at 40%", "25k 20t at 80%", "25k 40t at 40%", "25k 40t at 80%"]
    for own in found:
        assert list(own.members) == [*KINDS]
        assert all(list(runs["seed"]) == [0, 1, 2] for runs in own.members.values())
        assert len(own.full) == len(own.partner) == 3
        assert set(own.full["N_prunable"]) == {own.n}
        assert not len(own.equal_width)
    names = [(control.kind, control.differs) for control in found[1].controls]
    assert ("rising", "choose gradient") in names
    assert ("static", "lr × 0.5") in names
    assert list(found[1].tries("rising")) == [0.5, 1.0, 2.0]
    assert not any(own.controls for own in (found[0], *found[2:]))


def test_a_dense_run_of_the_sets_width_is_told_from_its_partner() -> None:
    rows = mirrored_worlds.simulate(growth=False)
    for row in rows:
        if row["size"] == "25k-p40":
            row["d_model"] = 32
    found = mirrored_sets(in_tables(rows))
    assert [len(own.equal_width) for own in found] == [3, 0, 3, 0]
    assert [len(own.partner) for own in found] == [0, 3, 0, 3]


def test_without_a_weight_in_time_n_w_is_n_avg_and_mirror_images_mirror_it() -> None:
    tables = in_tables(mirrored_worlds.simulate(ArrowTruth(sigma=0.0), growth=False))
    counts = weighted_counts(tables.runs, np.array([0.0, 1.0]))
    usual = tables.runs["shape"] == "geometric"
    assert counts[usual, 0] == pytest.approx(tables.runs["N_avg"][usual], rel=1e-9)
    dense = tables.runs["shape"] == "dense"
    assert counts[dense] == pytest.approx(np.repeat(tables.runs["N_avg"][dense][:, None], 2, axis=1))
    for own in mirrored_sets(tables):
        falling, rising = (weighted_counts(own.members[kind], np.array([1.0]))[0, 0] for kind in ("falling", "rising"))
        # Weights 2 (t + 1/2) / T of a run and of its mirror image add up to 2 at each step.
        assert falling + rising == pytest.approx(2 * own.n_avg, rel=1e-9)
        assert falling < own.n_avg
