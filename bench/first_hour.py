"""The first hour on a GPU: what was foreseen for it, measured in five parts, each in under ten minutes.

    python -m bench.first_hour                     all five parts, in half an hour; files and a table in results/first-hour
    python -m bench.first_hour --plan              what each part does and how long it may take; runs nothing
    python -m bench.first_hour --parts 1,3         two of them; the files of the others stay, and the table has them too
    python -m bench.first_hour --parts 4 --seconds 240 --out h100
                                                   a part in four minutes; what no time was left for is said
    python -m bench.first_hour --cpu               all five at small sizes on a CPU, to try the command

A part is a process of its own on a GPU, so that its end takes no other along. It writes OUT/partN.json as it goes: hardware,
versions, commit, what was found beside what was expected, and its error if it had one. Part 3 also writes OUT/measured.json
for `--measured` of sweeps plan and run. The table at the end, OUT/summary.md, flags what is over 1.5 times off; it is for
bench/RESULTS.md. The exit code is 1 if a part failed. bench/first_hour.md says what to bring to a machine without a network.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

from bench import parser
from bench.apart import ENV, sizes
from bench.hour.part import OFF, PARTS, TEXTS, Finding, Part, file_of, run
from repro.console.guard import guarded
from repro.console.options import real
from repro.errors import UserError
from sweeps.grid import expand

SMALL = 60.0  # seconds of a part at small sizes
LATE = 1.2  # times its seconds, after which a part is killed
MOST = 590.0  # seconds after which it is killed in any case
SUMMARY = "summary.md"
PACKINGS: tuple[Literal["concatenate", "documents"], ...] = ("concatenate", "documents")


@guarded
def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument(
        "--out", type=Path, default=Path("results/first-hour"), metavar="FOLDER", help="(default: %(default)s)"
    )
    options.add_argument("--parts", default="1,2,3,4,5", help="numbers with commas between (default: %(default)s)")
    options.add_argument(
        "--seconds", type=real("a number of seconds", 1, MOST), help="for each part (default: its own)"
    )
    options.add_argument("--cpu", action="store_true", help="at small sizes on a CPU")
    options.add_argument("--plan", action="store_true", help="say what would be run, run nothing")
    given = options.parse_args(argv)
    numbers = _numbers(given.parts)
    seconds = {n: given.seconds or (SMALL if given.cpu else 60 * PARTS[n - 1].minutes) for n in numbers}
    for n in numbers:
        print(f"part {n}, at most {seconds[n] / 60:.1f} min: {PARTS[n - 1].does}")
    print(f"{sum(seconds.values()) / 60:.0f} minutes at most, and about two for texts and starts -> {given.out}")
    if given.plan:
        return 0
    if not given.cpu:
        from bench.gpu import device_name

        device_name()
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.cpu:
        _texts(given.out)
    os.environ.update(ENV)  # at small sizes before torch is imported
    good = []
    for n in numbers:
        print(f"part {n} of {len(PARTS)}: {PARTS[n - 1].does}", flush=True)
        if given.cpu:
            good.append(run(PARTS[n - 1], Part(n, given.out, seconds[n], cpu=True)))
        else:
            good.append(_apart(n, given.out, seconds[n]))
    table = summary(given.out)
    (given.out / SUMMARY).write_text(table)
    print(table, end="")
    return 0 if all(good) else 1


def _numbers(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in [str(n) for n in range(1, len(PARTS) + 1)]:
            raise UserError("no such part", key="--parts", found=repr(word), expected=f"numbers from 1 to {len(PARTS)}")
    return sorted({int(word) for word in words})


def _texts(out: Path) -> None:
    """Builds what the parts read on a GPU, so that none of them spends its time on it."""
    from bench.texts import text_of

    for file, packings in (("sweeps/gpu.yaml", PACKINGS[:1]), ("sweeps/paper.yaml", PACKINGS)):
        spec = next(iter(sizes(expand(file)).values()))
        for packing in packings:
            print(f"the text of {file}, {packing}", flush=True)
            text_of(replace(spec, corpus=replace(spec.corpus, packing=packing)), str(out / TEXTS), "cuda")


def _apart(number: int, out: Path, seconds: float) -> bool:
    """Runs a part in a process group of its own, and ends all of it when it is late. Returns whether it ended well."""
    limit = min(LATE * seconds, MOST)
    words = [sys.executable, "-m", "bench.hour", str(number), str(out), str(seconds)]
    process = subprocess.Popen(words, start_new_session=True, env=os.environ)
    began, why = time.monotonic(), None
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        why = f"it was killed after {time.monotonic() - began:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode < 0 and why is None:
        why = f"it was ended by {signal.Signals(-process.returncode).name}"
    if why:
        file = file_of(out, number)
        content = json.loads(file.read_text()) if file.exists() else {}  # what it has written so far
        file.write_text(json.dumps(content | {"error": why}, indent=1) + "\n")
    return process.returncode == 0


def summary(out: Path) -> str:
    """The findings of all parts that have a file, as Markdown: what was seen beside what was expected."""
    lines: list[str] = []
    rows, off, failed = ["| part | what | seen | expected | |", "|---|---|---|---|---|"], 0, []
    for number, task in enumerate(PARTS, 1):
        file = file_of(out, number)
        if not file.exists():
            continue
        content = json.loads(file.read_text())
        said = {key: content.get(key) for key in ("hardware", "versions", "commit")}
        if json.dumps(said) not in lines:
            lines.append(json.dumps(said))
        for finding in (Finding(**row) for row in content.get("findings", ())):
            off += bool(finding.flag)
            flag = f"**{finding.flag}**" if finding.flag else ""
            rows.append(f"| {number} {task.module} | {finding.name} | {finding.shown} | {finding.expected} | {flag} |")
        if content.get("error"):
            failed.append(f"Part {number} did not come to its end: {content['error']}")
    end = f"{off} of {len(rows) - 2} findings are wrong, missing or over {OFF:g} times off."
    return "\n".join(["```", *lines, "```", "", *rows, "", *failed, end, ""])


if __name__ == "__main__":
    sys.exit(main())
