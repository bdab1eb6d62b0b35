"""Lines of Python by room, and the table of docs/architecture.md that states them: `python -m tests.docs.lines` writes its numbers anew."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = ("repro", "sweeps", "cluster", "analysis", "bench")
DIVIDED = ("repro", "analysis")  # into folders; what lies beside these is counted under the package's own name
ROW = re.compile(r"^\| `([\w/]+)/` \| ([\d,]+) \| ([\d.]+)% \| (.+) \|$", re.MULTILINE)


def counted() -> dict[str, int]:
    """Lines of the Python files of each room."""
    found: Counter[str] = Counter()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            parts = file.relative_to(ROOT).parts
            room = "/".join(parts[:2]) if package in DIVIDED and len(parts) > 2 else package
            found[room] += len(file.read_text().splitlines())
    return dict(found)


def stated() -> dict[str, int]:
    """What the page says of each room."""
    return {room: int(lines.replace(",", "")) for room, lines, *_ in ROW.findall(PAGE.read_text())}


def rewritten(page: str) -> str:
    """The page with today's numbers, to two or three digits, and shares of all."""
    now = counted()

    def row(found: re.Match[str]) -> str:
        lines = now.get(found[1], 0)
        shown = round(lines, -2) if lines >= 1000 else round(lines, -1)
        return f"| `{found[1]}/` | {shown:,} | {lines / sum(now.values()):.1%} | {found[4]} |"

    return ROW.sub(row, page)


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
