"""The number of weights at each step of a run: piecewise constant functions, and the schedules that they are made for.

Pure arithmetic: no torch, no pydantic.
"""

from repro.schedule.declared import FALLING, SHAPES, TEETH, UNTIMED, Declared, Moves, Shape, Sparse
from repro.schedule.falling import interval_for
from repro.schedule.pieces import Pieces, exact_floor
from repro.schedule.pruning import PruningSchedule
