"""What several verbs of the analysis take, beside what the verbs of all rooms do (`repro.console.shared_options`)."""

from __future__ import annotations

from analysis.laws.formulas import shipped
from analysis.laws.registry import LAWS
from analysis.power import WORLDS
from repro.console.options import Option

LAW_NAMES = (*LAWS, *shipped.NAMES)

TABLE = Option("table", "TABLE", "table of runs: .csv, .tsv, .json, .jsonl or .parquet, or a results folder")
COLUMNS = Option(
    "--columns", "NAME=COLUMN,...",
    "which columns of the table are meant by the names N, D, loss and others; a column may be a formula of columns, or have a "
    "unit, D=tokens:B; may be repeated",
    {"action": "append", "default": []},
)  # fmt: skip
SAME_NAME = "the columns of those names"  # what --columns is by default
EXCLUDE = Option(
    "--exclude", "CONDITION", "rows to leave out, loss>=4.5; may be repeated", {"action": "append", "default": []}
)
CLUSTERS = Option("--clusters", "COLUMN", "column whose equal values mark rows of one run")
SIGMA = Option("--sigma", "NATS", "standard deviation of a run's loss over seeds, in nats", {"type": float})
BOOTSTRAP = Option("--bootstrap", "N", "resamples behind each interval", {"type": int})
BY = Option("--by", "COLUMN", "column whose values part the rows into groups")
LAW = Option("--law", "LAW", "a law that ships with the suite", {"choices": LAW_NAMES})
FORMULA = Option(
    "--formula", "TEXT",
    "a law of your own: a formula 'E + A/N^alpha', 'log(loss) = …' or with A[COLUMN], a law file (.yaml), or a saved fit (.json)",
)  # fmt: skip
FIX = Option(
    "--fix",
    "NAME=NUMBER,...",
    "parameters of the formula that are known; of a group a level, eff[bf16]=1; may be repeated",
)
TIE = Option("--tie", "NAME=OTHER,...", "parameters of the formula that equal another; may be repeated")
BOUNDS = Option("--bounds", "NAME=LOW:HIGH,...", "between what parameters of the formula lie; may be repeated")
PARAMETERS = Option("--parameters", "NAME=NUMBER,...", "parameters of the true law")
TARGET = Option("--target", "NAME=NUMBER,...", "point at which a prediction is wanted")
WORLDS_OPTION = Option(
    "--worlds", "N", "simulated sweeps behind each error rate of a rule; 40 at most for claims (p1) to (p8)",
    {"type": int, "default": WORLDS},
)  # fmt: skip
