"""The house keeps its plan: imports run one way, and the roof says what is under it."""

from __future__ import annotations

import ast
import contextlib
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "ray", "deepspeed", "transformers"}
LIGHT_MODULES = [
    "repro/spec/__init__.py",
    "repro/spec/run.py",
    "repro/schedule/pruning.py",
    "repro/ladder.py",
    "repro/column.py",
    "repro/columns.py",
    "repro/schemas.py",
    "repro/tables.py",
    "repro/tables_v2.py",
    "repro/store/folder.py",
    "repro/paths.py",
]
LIGHT_MODULES += [
    "sweeps/grid.py",
    "sweeps/plan.py",
    "sweeps/run_builder.py",
    "sweeps/points.py",
    "sweeps/run_parts.py",
    "sweeps/single_runs.py",
    "sweeps/studies.py",
]
LIGHT_MODULES += [
    "repro/training/hardware.py",
    "sweeps/devices.py",
    "sweeps/throughput.py",
    "sweeps/memory.py",
    "sweeps/scaling.py",
]
LIGHT_MODULES += ["cluster/render.py", "cluster/deployment.py", "cluster/driver_command.py"]
LIGHT_MODULES += ["cluster/machines.py", "cluster/checks.py"]
LIGHT_MODULES += [
    "sweeps/placement.py",
    "sweeps/forecast.py",
    "sweeps/plan_report.py",
    "sweeps/prefix_plan.py",
    "sweeps/assign_workers.py",
]
LIGHT_MODULES += [
    "repro/models/tensors.py",
    "repro/models/folder.py",
    "repro/models/counts.py",
    "repro/models/card_claims.py",
    "repro/models/layout.py",
    "repro/models/rules.py",
    "repro/models/quantised.py",
    "repro/models/config.py",
    "repro/surgery/catalogue.py",
]
# The rooms of the analysis: each needs those before it alone.
ANALYSIS = (
    "shown",
    "laws",
    "tables",
    "worlds",
    "fits",
    "noise",
    "rate_laws",
    "recipe_laws",
    "findings",
    "claims",
    "power",
    "figures",
    "report",
    "library",
    "verbs",
)
OF_REPRO_IN_ANALYSIS = {
    "repro.column",
    "repro.columns",
    "repro.spec",
    "repro.schemas",
    "repro.tables",
    "repro.schedule",
    "repro.ladder",
    "repro.errors",
    "repro.reading",
    "repro.paths",
    "repro.studies",
    "repro.store.folder",
    "repro.console.commands",
    "repro.console.guard",
    "repro.console.options",
}


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(file.read_text())))


@cache
def imports(file: Path) -> tuple[str, ...]:
    """Dotted names that a file imports; `from a import b` gives a.b when b is a module of ours, else a."""
    names: list[str] = []
    for node in nodes(file):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = ROOT / node.module.replace(".", "/") / f"{alias.name}.py"
                names.append(f"{node.module}.{alias.name}" if inner.exists() else node.module)
    return tuple(names)


def of(room: str) -> Iterator[tuple[str, str]]:
    for file in (ROOT / room).rglob("*.py"):
        yield from ((str(file.relative_to(ROOT)), name) for name in imports(file))


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("repro", {"sweeps", "analysis", "cluster"}),
        ("sweeps", {"analysis", "cluster"}),
        ("analysis", {"sweeps", "cluster"}),
        ("cluster", {"analysis"}),
    ],
)
def test_imports_run_one_way(room: str, forbidden: set[str]) -> None:
    assert [(file, name) for file, name in of(room) if name.split(".")[0] in forbidden] == []


def test_the_analysis_reads_tables_only() -> None:
    ours = [(file, name) for file, name in of("analysis") if name.split(".")[0] in {"repro", "sweeps"}]
    assert [(file, name) for file, name in ours if name not in OF_REPRO_IN_ANALYSIS | {"repro"}] == []
    assert [(file, name) for file, name in of("analysis") if name.split(".")[0] in HEAVY] == []


def test_the_rooms_of_the_analysis_need_those_before_them_alone() -> None:
    there = {
        file.stem for file in (ROOT / "analysis").iterdir() if file.suffix == ".py" or (file / "__init__.py").exists()
    }
    assert there == {*ANALYSIS, "__init__", "__main__"}
    ours = [(file, name) for file, name in of("analysis") if name.startswith("analysis.") and "__main__" not in file]
    assert ours
    place = {room: i for i, room in enumerate(ANALYSIS)}
    own = {file: place[Path(file).with_suffix("").parts[1]] for file, _ in ours}
    assert [(file, name) for file, name in ours if place[name.split(".")[1]] > own[file]] == []


def test_no_module_needs_one_that_needs_it() -> None:
    """Imports inside functions and for types alone count, too."""
    files = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for room in ("repro", "sweeps", "cluster", "analysis")
        for file in (ROOT / room).rglob("*.py")
    }
    needs = {name: set(imports(file)) & files.keys() - {name} for name, file in files.items()}
    with contextlib.suppress(StopIteration):
        while True:  # what needs nothing that is left is on no circle
            free = next(name for name, needed in needs.items() if not needed & needs.keys())
            del needs[free]
    assert needs == {}


def test_a_class_name_occurs_once() -> None:
    files = [file for room in ("repro", "sweeps", "cluster", "analysis") for file in (ROOT / room).rglob("*.py")]
    names = Counter(node.name for file in files for node in nodes(file) if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_a_plan_needs_no_training_stack(module: str) -> None:
    assert not HEAVY & {name.split(".")[0] for name in imports(ROOT / module)}


def test_help_lists_every_target() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [t for t in declared[1].split() if not re.search(rf"make {t}\b", shown)] == []
