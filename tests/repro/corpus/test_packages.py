"""Text in installed packages: read from their files as they ship them, and never by running their code."""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

from repro.corpus.documents import Document
from repro.corpus.packages import CLOUD, DISTRIBUTIONS, LOCK, PackageSource
from repro.corpus.prose import parts_of, strip_markdown, strip_roles
from repro.errors import UserError

ROOT = Path(__file__).parents[3]
RUN = "raise SystemExit('this is never run')\n"
LONG = "it is as long as prose has to be"

DISCOVERED = {
    "description": f"Of the service: {LONG}.",
    "schemas": {
        "Disk": {
            "description": f"See [the guide](https://x.y/z): {LONG}.",
            "properties": {
                "kind": {"description": "A label.", "enumDescriptions": [f"Fast: {LONG}.", "Slow."]},
                "size": {"description": f"Of the service: {LONG}."},
            },
        }
    },
}
OCI_MODEL = f'''
class Disk(object):
    """
    A disk. {LONG}.
    """

    #: A constant that is no docstring, though {LONG}.
    KIND = "KIND"

    def __init__(self, **kwargs):
        """
        Initializes a new Disk object with values from keyword arguments.
        The following keyword arguments are supported (corresponding to the getters/setters of this class):

        :param size:
            The value to assign to the size property of this Disk.
        :type size: int
        """

    @property
    def size(self):
        """
        **[Required]** Gets the size of this Disk.
        The size in ``GB`` of a :class:`~oci.core.models.Disk`, see `the guide`__: {LONG}.

        Allowed values for this property are: "LARGE", "SMALL", 'UNKNOWN_ENUM_VALUE'.
        Any unrecognized values returned by a service will be mapped to 'UNKNOWN_ENUM_VALUE'.

        __ https://x.y/z
        :return: The size of this Disk.
        :rtype: int
        """
'''
PULUMI_RESOURCE = f'''
class Disk(pulumi.CustomResource):
    def __init__(__self__, resource_name: str, size=None):
        """
        Manages a [disk](https://x.y): {LONG}.

        Uses Azure REST API version 2024-05-01.

        Other available API versions: 2022-08-01. These can be accessed by generating a local SDK package.

        ```python
        example = azure_native.disk.Disk("a disk in an example, that is no prose")
        ```

        :param str resource_name: The name of the resource.
        :param pulumi.Input[Mapping[str, pulumi.Input[_builtins.str]]] size: The size: {LONG}.
        """

    @staticmethod
    def get(resource_name: str) -> "Disk":
        """
        Get an existing Disk resource's state with the given name, id, and optional extra properties.

        :param str resource_name: The unique name of the resulting resource.
        """
'''
TENCENT_MODEL = rf'''
class MakeDiskRequest(AbstractModel):
    r"""MakeDisk request structure.

    """

    def __init__(self):
        r"""
        :param _Size: The size, with a \d: {LONG}.
        :type Size: int
        :param _Region: The region,
where {LONG}.
        :type Region: :class:`tencentcloud.disk.v2020.models.Region`
        """
'''


def jsii(described: dict) -> bytes:
    data = gzip.compress(json.dumps(described).encode())
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as packed:
        info = tarfile.TarInfo("package/.jsii.gz")
        info.size = len(data)
        packed.addfile(info, io.BytesIO(data))
    return made.getvalue()


DESCRIBED = {
    "submodules": {
        "aws-cdk-lib.aws_disk": {"readme": {"markdown": f"# Disks\n\n{LONG}.\n\n```ts\nnew Disk();\n```\n"}}
    },
    "types": {
        "aws-cdk-lib.App": {"docs": {"summary": f"An app: {LONG}.", "custom": {"x": "y"}}},
        "aws-cdk-lib.aws_disk.CfnDisk.Props": {"docs": {"summary": "Properties for defining a `CfnDiskOfSomeSize`."}},
        "aws-cdk-lib.aws_disk.Disk": {
            "docs": {"summary": "A disk.", "remarks": f"Of which {LONG}.", "example": "new DiskThatIsNoProse();"},
            "methods": [{"name": "grow", "docs": {"summary": f"Grows, if {LONG}."}}],
        },
    },
}
FILES: dict[str, dict[str, str | bytes]] = {
    "botocore": {
        "botocore/__init__.py": RUN,
        "botocore/data/ec2/2016-11-15/service-2.json": json.dumps({"documentation": f"<p>Of EC2: {LONG}.</p>"}),
    },
    "google-api-python-client": {
        "googleapiclient/__init__.py": RUN,
        "googleapiclient/discovery_cache/documents/compute.v1.json": json.dumps(DISCOVERED),
        "googleapiclient/discovery_cache/documents/compute.beta.json": json.dumps(DISCOVERED),
        "googleapiclient/discovery_cache/documents/index.json": "[]",
    },
    "aws-cdk-lib": {"aws_cdk/__init__.py": RUN, "aws_cdk/_jsii/aws-cdk-lib@2.jsii.tgz": jsii(DESCRIBED)},
    "oci": {
        "oci/__init__.py": RUN,
        "oci/core/disk_client.py": f'{RUN}\nclass DiskClient:\n    """A client: {LONG}."""\n',
        "oci/core/disk_client_composite_operations.py": f'class X:\n    """Calls and waits: {LONG}."""\n',
        "oci/core/models/disk.py": OCI_MODEL,
    },
    "pulumi-azure-native": {
        "pulumi_azure_native/__init__.py": RUN,
        "pulumi_azure_native/_utilities.py": f'"""Of no service: {LONG}."""',
        "pulumi_azure_native/disk/__init__.py": RUN,
        "pulumi_azure_native/disk/v20250101/disk.py": PULUMI_RESOURCE,
    },
    "tencentcloud-sdk-python-intl-en": {
        "tencentcloud/__init__.py": RUN,
        "tencentcloud/common/abstract_client.py": f'"""Of no service: {LONG}."""\n',
        "tencentcloud/disk/v20200101/models.py": TENCENT_MODEL,
    },
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small distributions of the same layout, ahead of what is installed."""
    for name, files in FILES.items():
        stem = name.replace("-", "_")
        about = {f"{stem}-9.9.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n"}
        for file, content in {**files, **about}.items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.syspath_prepend(tmp_path)


EXPECTED = {
    "botocore": [("ec2", f"Of EC2: {LONG}.")],
    "google-api-python-client": [
        ("compute", f"Of the service: {LONG}."),
        ("compute", f"See the guide: {LONG}."),
        ("compute", f"Fast: {LONG}."),
    ],
    "aws-cdk-lib": [
        ("aws_disk", f"# Disks {LONG}."),
        ("aws_disk", f"A disk. Of which {LONG}."),
        ("aws_disk", f"Grows, if {LONG}."),
        ("core", f"An app: {LONG}."),
    ],
    "oci": [
        ("core", f"A client: {LONG}."),
        ("core", f"A disk. {LONG}."),
        ("core", f"The size in GB of a oci.core.models.Disk, see the guide: {LONG}."),
    ],
    "pulumi-azure-native": [
        ("disk", f"Manages a disk: {LONG}."),
        ("disk", f"The size: {LONG}."),
        ("disk", "The unique name of the resulting resource."),
    ],
    "tencentcloud-sdk-python-intl-en": [
        ("disk", f"The size, with a \\d: {LONG}."),
        ("disk", f"The region, where {LONG}."),
    ],
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.usefixtures("installed")
def test_each_package_gives_its_prose_by_service_once_without_what_its_generator_repeats(name: str) -> None:
    modules = set(sys.modules)
    source = PackageSource(name)
    assert list(source.documents()) == [Document(*one) for one in EXPECTED[name]]
    assert source.versions == {name: "9.9"}
    assert source.licence == "Apache-2.0"
    assert set(sys.modules) - modules <= {"tarfile"}


@pytest.mark.usefixtures("installed")
def test_the_text_of_all_is_in_groups_of_package_and_service() -> None:
    source = PackageSource(CLOUD)
    expected = [Document(f"{name}/{group}", text) for name in DISTRIBUTIONS for group, text in EXPECTED[name]]
    assert list(source.documents()) == expected
    assert source.versions == dict.fromkeys(DISTRIBUTIONS, "9.9")
    assert source.licence == "Apache-2.0"


def test_a_package_that_is_not_installed_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    for name in ("oci", CLOUD):
        with pytest.raises(UserError, match="not installed") as refused:
            _ = PackageSource(name).versions
        assert ("make text" in str(refused.value)) == (name == "oci")  # of CLOUD, botocore is missed first
    assert f"-r {LOCK}" in (ROOT / LOCK).read_text()


def test_the_lock_has_each_package_that_make_setup_does_not_install() -> None:
    lines = (ROOT / LOCK).read_text().splitlines()
    named = {line.split("==")[0] for line in lines if not line.startswith(("#", " "))}
    assert named == {name for name, package in DISTRIBUTIONS.items() if package.locked}


def test_the_parts_of_a_docstring_are_its_description_and_its_fields_that_are_no_types() -> None:
    said = (
        "One\n  two.\n\n:param dict[str, int] x: Of x,\n    on two lines.\n:type x: int\n    or float\n:return: A y.\n"
    )
    assert [" ".join(part.split()) for part in parts_of(said)] == ["One two.", "Of x, on two lines.", "A y."]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("a :py:class:`~oci.a.B` and :func:`f <g>`", "a oci.a.B and f"),
        ("see `the guide`__ and `this <https://x.y>`_", "see the guide and this"),
        ("**one** ``two`` `three`", "one two `three`"),
    ],
)
def test_roles_and_references_become_their_text(marked: str, plain: str) -> None:
    assert strip_roles(marked) == plain


def test_markdown_loses_its_code_and_the_places_of_its_links() -> None:
    assert strip_markdown("One [two](https://x.y) `three`.\n\n```py\nx()\n```\n\nFour.") == "One two `three`. Four."
