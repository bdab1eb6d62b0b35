"""`python -m bench`: the benchmarks, each with the first line of its docstring."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent


def benchmarks() -> Iterator[tuple[str, str]]:
    """Name and first line of each module that can be called; none is imported."""
    for file in sorted(HERE.glob("*.py")):
        text = file.read_text()
        if file.name != Path(__file__).name and 'if __name__ == "__main__"' in text:
            yield file.stem, (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def main() -> int:
    """Prints them; whatever is asked, there is no more to it."""
    print("usage: python -m bench.NAME [--help]\n\nWhat it measured: bench/RESULTS.md. Benchmarks:")
    for name, line in benchmarks():
        print(f"  {name:<10} {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
