"""`python -m bench.hour NUMBER OUT SECONDS`: one part on a GPU, as `bench.first_hour` starts it."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.hour.part import PARTS, Part, run

if __name__ == "__main__":
    number, out, seconds = sys.argv[1:]
    sys.exit(0 if run(PARTS[int(number) - 1], Part(int(number), Path(out), float(seconds), cpu=False)) else 1)
