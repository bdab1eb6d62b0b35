"""The number of weights at each step of a run: piecewise constant functions, and the pruning schedules that make them.

Pure arithmetic: no torch, no pydantic.
"""

from repro.schedule.pieces import Pieces
from repro.schedule.pruning import PruningSchedule
from repro.schedule.shapes import SHAPES, Shape, exact_floor, interval_for

__all__ = ["SHAPES", "Pieces", "PruningSchedule", "Shape", "exact_floor", "interval_for"]
