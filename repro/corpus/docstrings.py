"""Documentation in the docstrings of generated clients, whose source is parsed and never run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from repro.corpus.documents import Document
from repro.corpus.prose import parts_of, strip_markdown, strip_roles

# What Oracle's generator writes of every property, class and operation: lines of their own, and whole fields.
_OCI_LINES = re.compile(
    r"^(?:\*\*\[Required\]\*\* )?(?:Gets|Sets) the \S+ of this \S+\.$"
    r"|^.* to see an example of how to use .*$"
    r"|^Allowed values for this property are: .*$"
    r"|^Any unrecognized values returned by a service will be mapped to .*$"
    r"|^(?:__ |\.\. _).*$",  # where a reference leads
    re.MULTILINE,
)
_OCI_FIELDS = re.compile(
    r"\s*(?:Initializes a new \S+ object|The value to assign to the \S+ property of this |The \S+ of this \S+\s*$"
    r"|A :class:`~?oci\.response\.Response`)"
)
_PULUMI_LINES = re.compile(r"^(?:Uses Azure REST API version |Other available API versions: ).*$", re.MULTILINE)
_PULUMI_FIELDS = re.compile(
    r"\s*(?:The set of arguments for constructing an? |Get an existing \S+ resource's state |"
    r"Create an? \S+ resource with the given unique name)"
)
_TENCENT_FIELDS = re.compile(r"\s*(?:\S+ (?:request|response) structure\.|Request instance for \S+|:class:`)")


def oci(folder: Path) -> Iterator[Document]:
    """Descriptions of Oracle's services: of models, their properties, operations and their parameters."""
    for service in sorted(path for path in folder.iterdir() if (path / "models").is_dir()):
        clients = sorted(service.glob("*_client.py"))
        for file in (*clients, *sorted((service / "models").glob("*.py"))):
            for part in _parts(file):
                if not _OCI_FIELDS.match(part := _OCI_LINES.sub("", part).strip()):
                    yield Document(service.name, strip_roles(part))


def pulumi(folder: Path) -> Iterator[Document]:
    """Descriptions of a provider's resources, their properties and the functions that look them up."""
    for service in sorted(path for path in folder.iterdir() if (path / "__init__.py").is_file()):
        for file in sorted(service.rglob("*.py")):
            for part in _parts(file):
                if not _PULUMI_FIELDS.match(part):
                    yield Document(service.name, strip_roles(strip_markdown(_PULUMI_LINES.sub("", part))))


def tencent(folder: Path) -> Iterator[Document]:
    """Descriptions of Tencent's services, in English: of operations, their structures and properties."""
    for service in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != "common"):
        for file in sorted(service.glob("v*/*.py")):
            for part in _parts(file):
                if not _TENCENT_FIELDS.match(part):
                    yield Document(service.name, strip_roles(part))


def _parts(file: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # escapes in docstrings that Python doesn't know
        tree = ast.parse(file.read_bytes())
    yield from _of_body(tree)


def _of_body(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    found = ast.get_docstring(node, clean=False)
    if found is not None:
        yield from parts_of(found)
    if isinstance(node, ast.Module | ast.ClassDef):
        for inner in node.body:
            if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _of_body(inner)
