"""A part of the first hour: its settings, what it finds, and the JSON file in which that is kept as it comes."""

from __future__ import annotations

import importlib
import json
import math
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import made_on
from repro.store.folder import Folder

TEXTS = "texts"  # folder of the texts, in that of the parts' files
OFF = 1.5  # times off what was expected, from which on a finding is flagged


@dataclass(frozen=True)
class Finding:
    """One thing that was measured or checked.

    name: what. seen: a number in `unit`, or whether it is as it should be; None if it couldn't be measured, for the reason
    `why`. least, most: bounds of what was expected; None: none.
    """

    name: str
    seen: float | bool | None
    unit: str = ""
    least: float | None = None
    most: float | None = None
    why: str = ""

    @property
    def times_off(self) -> float:
        """How many times a number is outside of its bounds; 1 within them."""
        if self.seen is None:
            return 1.0
        if self.most is not None and self.seen > self.most:
            return self.seen / self.most if self.most else math.inf
        if self.least is not None and self.seen < self.least:
            return self.least / self.seen if self.seen else math.inf
        return 1.0

    @property
    def flag(self) -> str:
        """Why to look at it; empty if there is no reason."""
        if isinstance(self.seen, bool):
            return "" if self.seen else "wrong"
        if self.seen is None:
            return "missing"
        return f"{self.times_off:.1f} times off" if self.times_off > OFF else ""

    @property
    def expected(self) -> str:
        """The bounds, as text."""
        if isinstance(self.seen, bool):
            return "yes"
        if self.least is None and self.most is None:
            return ""
        if self.least is None or self.most is None:
            return f"≤ {self.most:g}" if self.least is None else f"≥ {self.least:g}"
        return f"{self.least:g}" if self.least == self.most else f"{self.least:g} to {self.most:g}"

    @property
    def shown(self) -> str:
        """What was seen, as text."""
        if isinstance(self.seen, bool):
            return "yes" if self.seen else "NO"
        if self.seen is None:
            return f"not measured: {self.why}"
        number = f"{self.seen:,.0f}" if self.seen >= 1000 else f"{self.seen:.4g}"
        return f"{number} {self.unit}".strip()


@dataclass
class Part:
    """A part that is running.

    number: from 1. out: the folder of all parts' files. seconds: how long it may take. cpu: at small sizes on a CPU.
    findings: so far. more: other things to be kept, by name.
    """

    number: int
    out: Path
    seconds: float
    cpu: bool
    findings: list[Finding] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.began = time.time()
        self.save("it was ended before it was done")

    @property
    def file(self) -> Path:
        return file_of(self.out, self.number)

    @property
    def texts(self) -> Path:
        """Folder of the texts, shared by the parts."""
        return self.out / TEXTS

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.seconds - (time.time() - self.began)

    def say(self, text: str) -> None:
        """Prints a line of progress."""
        left = max(0, int(self.left))
        print(f"  [{left // 60}:{left % 60:02d} left] {text}", flush=True)

    def add(self, finding: Finding) -> None:
        """Keeps and prints a finding."""
        self.findings.append(finding)
        flag = f"  <-- {finding.flag}" if finding.flag else ""
        expected = f"  (expected {finding.expected})" if finding.expected else ""
        self.say(f"{finding.name}: {finding.shown}{expected}{flag}")
        self.save("it was ended before it was done")

    def save(self, error: str | None) -> None:
        """Writes the file as it is now. error: why the part isn't complete; None if it is."""
        content = {
            "part": self.number,
            "small": self.cpu,
            **json.loads(made_on()),
            "began": time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(self.began)),
            "seconds": round(time.time() - self.began, 1),
            "error": error,
            "findings": [asdict(finding) for finding in self.findings],
            **self.more,
        }
        Folder.open(self.out).write(self.file.name, (json.dumps(content, indent=1) + "\n").encode())


def file_of(out: Path, number: int) -> Path:
    """The JSON file of a part."""
    return out / f"part{number}.json"


@dataclass(frozen=True)
class Task:
    """A part as it is announced. module: in bench.hour. minutes: how long it may take on a GPU. does: in words."""

    module: str
    minutes: float
    does: str


PARTS = (
    Task("engines", 1.5, "engines one after the other at ZeRO 0 to 3, in fp32 and bf16; masks and losses against the CPU's"),
    Task("kernels", 4, "attention of one layer by kernel, cross-entropy, masking, a pruning event, each by itself"),
    Task("sweep", 8, "bench.gpu for the sizes of sweeps/gpu.yaml, two runs beside each other too; writes measured.json"),
    Task("settings", 9.5, "162m of sweeps/paper.yaml eager and compiled, concatenated and documents; 58m and 468m"),
    Task("life", 4, "a size of sweeps/gpu.yaml killed and resumed, short of memory, exported and evaluated"),
)  # fmt: skip


def run(task: Task, part: Part) -> bool:
    """Runs a part in this process and completes its file. Returns whether it came to its end without an error."""
    warnings.simplefilter("ignore", FutureWarning)  # of torch to DeepSpeed, at every step of stage 3
    try:
        importlib.import_module(f"bench.hour.{task.module}").run(part)
    except Exception as error:  # whatever it is, the other parts are run, and the file says it
        traceback.print_exc()
        part.save(f"{type(error).__name__}: {error}")
        return False
    part.save(None)
    return True
