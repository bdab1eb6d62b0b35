"""What several verbs of the analysis take, beside what the verbs of all rooms do (`repro.console.options`)."""

from __future__ import annotations

from analysis.laws.formulas import written
from analysis.laws.registry import LAWS
from analysis.power import WORLDS
from repro.console.options import Option

LAW_NAMES = (*LAWS, *written.SHIPPED)

TABLE = Option("table", "TABLE", "table of runs: .csv, .tsv, .json, .jsonl or .parquet, or a results folder")
COLUMNS = Option(
    "--columns", "NAME=COLUMN,...",
    "where the table has what a law calls N, D, loss and so on, such as N=params,loss=val_loss; a formula of columns, or a column "
    "with a unit as in D=tokens:B, serves too; may be repeated",
    {"action": "append", "default": []},
)  # fmt: skip
SAME_NAME = "the columns of those names"  # what --columns is by default
EXCLUDE = Option(
    "--exclude",
    "CONDITION",
    "condition of rows to leave out, such as loss>=4.5; may be repeated",
    {"action": "append", "default": []},
)
CLUSTERS = Option("--clusters", "COLUMN", "column that is equal in the rows of one run")
SIGMA = Option("--sigma", "NATS", "standard deviation of a run's loss over seeds, in nats", {"type": float})
BOOTSTRAP = Option("--bootstrap", "N", "resamples behind each interval", {"type": int})
BY = Option("--by", "COLUMN", "column that is equal in the rows of one group")
LAW = Option("--law", "LAW", "a law that ships with the suite", {"choices": LAW_NAMES})
FORMULA = Option(
    "--formula", "TEXT",
    "a law of your own: a formula 'E + A/N^alpha', 'log(loss) = …' or with A[COLUMN], a law file (.yaml), or a saved fit (.json)",
)  # fmt: skip
FIX = Option(
    "--fix",
    "NAME=NUMBER,...",
    "parameters of the formula that are known, such as E=1.69; for one label, eff[bf16]=1; may be repeated",
)
TIE = Option(
    "--tie", "NAME=OTHER,...", "parameters of the formula that equal another, such as alpha=beta; may be repeated"
)
BOUNDS = Option(
    "--bounds", "NAME=LOW:HIGH,...", "bounds of parameters of the formula, such as gamma=0.1:9; may be repeated"
)
PARAMETERS = Option("--parameters", "NAME=NUMBER,...", "parameters of the true law")
TARGET = Option("--target", "NAME=NUMBER,...", "point at which a prediction is wanted")
WORLDS_OPTION = Option(
    "--worlds", "N", "simulated sweeps behind each error rate of a rule; 40 at most for claims (p1) to (p8)",
    {"type": int, "default": WORLDS},
)  # fmt: skip
