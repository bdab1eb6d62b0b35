"""What verbs of several rooms take: each option and each positional argument has its name, metavar and meaning here."""

from __future__ import annotations

from repro.console.options import Option

TEXT_FILES = ".txt, .json, .jsonl, .json.gz or .parquet"
_TEXT = f"a corpus's folder or a sweep file, of which the held-out split is read, or text files ({TEXT_FILES})"

SWEEP = Option("file", "FILE", "sweep file, in YAML")
RESULTS = Option("results", "RESULTS", "results folder of a sweep, a path or a URI")
MODEL = Option("model", "MODEL", "a model's Hugging Face folder or id")
TEXT = Option("text", "TEXT", _TEXT)
OUT_PLACE = Option("out", "OUT", "where to write")
METHOD = Option("--method", "METHOD", "how it is done")

JSON = Option("--json", None, "print JSON instead of text", {"action": "store_true"})
OUT = Option("--out", "FOLDER", "folder to write to, a path or a URI")
DRY_RUN = Option("--dry-run", None, "say what would be done, and do nothing", {"action": "store_true"})
SEED = Option("--seed", "N", "seed of all that is drawn at random", {"default": 0})
RESULTS_ROOT = Option("--results", "ROOT", "root of the results folders, a path or a URI")
CORPUS_ROOT = Option("--corpus", "ROOT", "root of the corpora, a path or a URI")
ADDRESS = Option("--address", "HEAD:PORT", "address of a Ray cluster")
NODES = Option("--nodes", "N", "number of nodes")
CLUSTER = Option(
    "--cluster", "KEY=VALUE,...",
    "the cluster to plan for, gpus=64,type=h100, with per_node (8 GPUs if not given), max_workers of a run (those of one node) "
    "and memory of a GPU in GB",
)  # fmt: skip
MEASURED = Option(
    "--measured", "FILE",
    'JSON file of measured throughput: {"tokens_per_second": {DEVICE: {SIZE: tokens/s of one worker}}}, and for runs that share a '
    'device "beside": {DEVICE: {SIZE: {"2": their sum}}}',
    {"default": None},
)  # fmt: skip

DEVICE = Option(
    "--device", None, "where to compute; auto takes a GPU if there is one",
    {"choices": ("auto", "cpu", "cuda"), "default": "auto"},
)  # fmt: skip
PRECISION = Option("--precision", None, "precision of the weights", {"choices": ("fp32", "bf16")})
WINDOW = Option("--window", "N", "tokens that the model reads at once")
MAX_TOKENS = Option("--max-tokens", "N", "take about so many tokens, in windows that are spread evenly over the text")
TEXT_OPTION = Option("--text", "TEXT", _TEXT)
TEXT_FIELD = Option(
    "--text-field", "FIELD", "field of JSON lines and Parquet files that holds the text", {"default": "text"}
)
