"""A key of the rules' code: a hash over the modules that compute error rates, and over nothing else.

Comments, docstrings and layout don't affect it, nor do modules that none of these imports: rates stay valid when a figure changes.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "analysis"
START = tuple(sorted((ROOT / PACKAGE / "power").glob("*.py")))


@cache
def digest(start: tuple[Path, ...] = START, root: Path = ROOT) -> str:
    """SHA-256 over the syntax trees of `modules`."""
    found = hashlib.sha256()
    for file, tree in sorted(modules(start, root).items()):
        found.update(f"{file.relative_to(root)}\n{ast.dump(_without_docstrings(tree))}\n".encode())
    return found.hexdigest()


def modules(start: tuple[Path, ...] = START, root: Path = ROOT) -> dict[Path, ast.Module]:
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
