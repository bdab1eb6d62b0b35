"""power.json beside a sweep's tables: kept error rates, which are used only for the same tables and the same code.

The code's part of the key is a hash over the modules that compute error rates, and over nothing else. Comments, docstrings and
layout don't affect it, nor do modules that none of these imports: rates stay valid when a figure changes.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from analysis.claims.verdict import ClaimRates, Rates
from analysis.power.error_rates import Power
from analysis.tables.data import Tables
from repro import columns
from repro.errors import UserError
from repro.store.folder import Folder

FILE = "power.json"
COLUMNS = ("run_id", "recipe", "studies", "size", "budget", "seed", "loss")
ROOT = Path(__file__).parents[2]
PACKAGE = "analysis"
START = tuple(sorted((ROOT / PACKAGE / "power").glob("*.py")))


@cache
def code_digest(start: tuple[Path, ...] = START, root: Path = ROOT) -> str:
    """SHA-256 over the syntax trees of `code_modules`."""
    found = hashlib.sha256()
    for file, tree in sorted(code_modules(start, root).items()):
        found.update(f"{file.relative_to(root)}\n{ast.dump(_without_docstrings(tree))}\n".encode())
    return found.hexdigest()


def code_modules(start: tuple[Path, ...] = START, root: Path = ROOT) -> dict[Path, ast.Module]:
    """The syntax trees of `start` and of all modules below `root`/analysis that they import, directly or not, by their files."""
    trees: dict[Path, ast.Module] = {}
    waiting = list(start)
    while waiting:
        file = waiting.pop()
        if file not in trees:
            trees[file] = ast.parse(file.read_bytes())
            waiting += _imported(trees[file], root)
    return trees


def _imported(tree: ast.Module, root: Path) -> list[Path]:
    """Files of the package that a module imports, with the packages they lie in; a name may be a module or something in one."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    paths = {tuple(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    return [
        file
        for path in sorted(paths)
        if path[0] == PACKAGE
        for file in (root.joinpath(*path).with_suffix(".py"), root.joinpath(*path, "__init__.py"))
        if file.is_file()
    ]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def key(tables: Tables) -> str:
    """A hash of what the error rates depend on: the runs and their losses, and the code of the rules."""
    names = (*COLUMNS, *columns.names("size", "setting", "window", "count"))
    runs = {name: [str(value) for value in tables.runs[name]] for name in names}
    found = hashlib.sha256(repr(runs).encode())
    found.update(code_digest().encode())
    return found.hexdigest()


def read(folder: Folder, tables: Tables) -> Power | None:
    """The kept error rates in a folder; None if there are none, or if they are for other runs or other code.

    Raises:
        UserError: a file that isn't one of ours.
    """
    if not folder.exists(FILE):
        return None
    found = folder.read_json(FILE)
    try:
        if found["key"] != key(tables):
            return None
        return _power(found)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "not error rates of claims",
            file=f"{folder}/{FILE}",
            found=str(error)[:100],
            expected="delete it to draw anew",
        ) from error


def write(folder: Folder, power: Power, tables: Tables) -> None:
    folder.write_json(FILE, {"key": key(tables), **dataclasses.asdict(power)})


def _power(found: dict[str, Any]) -> Power:
    names = {field.name for field in dataclasses.fields(Power)}
    claims = {
        name: ClaimRates(**{**own, "true": Rates(**own["true"]), "false": Rates(**own["false"])})
        for name, own in found["claims"].items()
    }
    laws = {law: {name: Rates(**own) for name, own in claims_of.items()} for law, claims_of in found["laws"].items()}
    return Power(**{name: found[name] for name in names - {"claims", "laws"}}, claims=claims, laws=laws)
