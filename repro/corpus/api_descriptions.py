"""Documentation in machine-readable descriptions of interfaces, which are JSON."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from repro.corpus.documents import Document
from repro.corpus.prose import strip_markdown, strip_markup
from repro.errors import UserError

_JSII = "package/.jsii.gz"
# What the generator writes of each of thousands of classes.
_TEMPLATES = re.compile(
    r"(?:Properties for defining an? |Checks whether the given object is an? |Create a new |"
    r"Indicates that this resource can be referenced as an? )\S+\s*$"
    r"|The \S+ of the \S+ resource\.\s*$"
)


def botocore(folder: Path) -> Iterator[Document]:
    """The documentation strings of every AWS service's latest model; the group is the service."""
    for service in sorted(path for path in (folder / "data").iterdir() if path.is_dir()):
        versions = sorted(service.glob("*/service-2.json*"))  # folders are dates
        if not versions:
            continue
        raw = versions[-1].read_bytes()
        model = json.loads(gzip.decompress(raw) if versions[-1].suffix == ".gz" else raw)
        for markup in _strings(model, "documentation"):
            yield Document(service.name, strip_markup(markup))


def discovery(folder: Path) -> Iterator[Document]:
    """The descriptions in Google's discovery documents; the group is the service, with all its versions."""
    for file in sorted((folder / "discovery_cache" / "documents").glob("*.json")):
        service = file.name.split(".", 1)[0]
        for text in _strings(json.loads(file.read_bytes()), "description", "enumDescriptions"):
            yield Document(service, strip_markdown(text))


def jsii(folder: Path) -> Iterator[Document]:
    """The documentation of the AWS CDK's classes and their members; the group is the module.

    Raises:
        UserError: the package holds no description of its interface.
    """
    for archive in sorted((folder / "_jsii").glob("*.tgz")):
        with tarfile.open(archive) as packed:
            file = packed.extractfile(_JSII)
            described = json.loads(gzip.decompress(file.read())) if file else {}
        texts: dict[str, list[str]] = {}
        for name, module in described["submodules"].items():
            texts.setdefault(_module(f"{name}."), []).append(module.get("readme", {}).get("markdown", ""))
        for name, kind in described["types"].items():
            said = (
                "\n\n".join(docs[key] for key in ("summary", "remarks") if key in docs)
                for docs in _under(kind, ("docs",), (dict,))
            )
            texts.setdefault(_module(name), []).extend(text for text in said if not _TEMPLATES.match(text))
        for module in sorted(texts):
            yield from (Document(module, strip_markdown(text)) for text in texts[module])
        return
    raise UserError(
        "the package has no description of its interface", file=folder, found="no archive", expected="_jsii/*.tgz"
    )


def _module(name: str) -> str:
    """The module in the name of a type, such as aws_s3 in aws-cdk-lib.aws_s3.Bucket."""
    inner = name.split(".")[1:-1]
    return inner[0] if inner else "core"


def _strings(node: Any, *keys: str) -> Iterator[str]:
    """The strings under these keys, and those of lists under them, at any depth."""
    for value in _under(node, keys, (str, list)):
        yield from (one for one in ([value] if isinstance(value, str) else value) if isinstance(one, str))


def _under(node: Any, keys: tuple[str, ...], kinds: tuple[type, ...]) -> Iterator[Any]:
    """What of these kinds is under one of these keys, at any depth; nothing inside of it."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in keys and isinstance(value, kinds):
                yield value
            else:
                yield from _under(value, keys, kinds)
    elif isinstance(node, list):
        for value in node:
            yield from _under(value, keys, kinds)
