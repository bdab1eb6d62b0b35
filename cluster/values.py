"""Validation of a manifest's values: every user-given value is checked against a pattern before rendering.

The callers, who know where a value was given, add file and key to the errors (repro.errors.located).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from repro.errors import UserError
from repro.paths import expand

NAME = r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"  # a DNS label, short enough for suffixes
WORD = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
OBJECT = rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*"  # name of a Kubernetes object
HOST = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
PART = r"(?!\.{1,2}(/|$))[A-Za-z0-9._=+][A-Za-z0-9._=+-]{0,254}"  # component of a path; neither . nor .. nor an option
COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"  # of an image's name, by the OCI distribution specification
PATTERNS = {  # option -> its pattern, and an example
    "name": (NAME, "lower-case letters, digits and hyphens, at most 40; --name chooses another"),
    "image": (
        rf"(?=.{{1,512}}$)({HOST}(:[0-9]{{1,5}})?/)?{COMPONENT}(/{COMPONENT})*"
        r"(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?",
        "registry.example.org/sparse-scaling:0.1.0",
    ),
    "results": (
        rf"(s3|gs|gcs)://[A-Za-z0-9][A-Za-z0-9._-]*(/{PART})*/?",  # stores with a conditional PUT; no keys in the URI
        "s3://BUCKET/FOLDER or gs://BUCKET/FOLDER",
    ),
    "volume_claim": (OBJECT, "the name of a ReadWriteMany PersistentVolumeClaim"),
    "service_account": (OBJECT, "the name of a ServiceAccount"),
    "secret": (OBJECT, "the name of a Secret"),
    "hf_secret": (OBJECT, "the name of a Secret with the key HF_TOKEN"),
    "partition": (WORD, "the name of a partition"),
    "account": (WORD, "the name of an account"),
    "instance": (WORD, "a machine type, like p5.48xlarge"),
    "region": (r"[a-z]{2,16}(-[a-z]{1,16}){1,3}-?[0-9]{1,2}", "us-east-1"),
    "zone": (r"[a-z]{2,16}-[a-z]{1,16}[0-9]{1,2}-[a-z]", "us-central1-a"),
    "project": (r"[a-z][-a-z0-9]{4,28}[a-z0-9]", "the id of a Google Cloud project"),
    "boot_image": (
        r"[a-z][A-Za-z0-9_-]{0,254}(/[A-Za-z0-9_-]{1,255}){0,8}",
        "projects/PROJECT/global/images/family/FAMILY",
    ),
    "nfs": (rf"{HOST}:(/|(/{PART})+/?)", "fs-0123.efs.us-east-1.amazonaws.com:/"),
}
SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "sbin", "sys", "usr")  # folders of a container
PLAIN = re.compile(rf"/?{PART}(/{PART})*/?")


def allowed(option: str, value: str) -> str:
    """The value. Raises UserError if it doesn't match the pattern of `option`."""
    pattern, expected = PATTERNS[option]
    if not re.fullmatch(pattern, value):
        raise UserError("a value that isn't allowed in a manifest", found=repr(value), expected=expected)
    return value


def on_the_cluster(place: str) -> str:
    """A place as seen by the nodes of a remote cluster: a URI, or an absolute path on the nodes.

    Raises:
        UserError: `~` or a variable in a path, which differ between machines; or a URI with a password in it.
    """
    if "://" in place:
        from repro.store.objects import without_secret  # which imports pyarrow

        uri = expand(place)
        if "@" in uri.partition("://")[2].partition("/")[0] and not uri.startswith("abfs"):
            raise UserError(
                "a key in an address, which logs and results would show",
                found=without_secret(uri),
                expected="the address alone; roles or variables of the nodes for the key",
            )
        return one_line(uri).rstrip("/")
    if place.startswith("~") or "$" in place:
        expected = "the absolute path that every node sees, written out"
        raise UserError("~ and variables of this machine aren't those of the cluster", found=place, expected=expected)
    return one_line(place).rstrip("/") or "/"


def one_line(path: str) -> str:
    """A path that will be shell-quoted: any printable characters on one line.

    Raises:
        UserError: it contains others, such as a line break or an escape.
    """
    if not path.isprintable():
        raise UserError("a path with control characters", found=repr(path), expected="a path of one line")
    return path


def plain_path(path: str) -> str:
    """A path that every shell, container runtime and mount reads alike: letters, digits and ._=+- between slashes.

    Raises:
        UserError: it contains anything else, such as `..`, `~` or `$`.
    """
    if not PLAIN.fullmatch(path):
        expected = "letters, digits and . _ = + - between slashes; ~ and $ of this machine aren't those of the nodes"
        raise UserError("a path that isn't allowed in a manifest", found=repr(path), expected=expected)
    return path


def inside(home: PurePosixPath, folder: str) -> PurePosixPath:
    """A mount point in a container whose checkout is at `home`, which doesn't hide the checkout.

    Raises:
        UserError: it isn't a plain path, or is the checkout, a folder above it or a system folder.
    """
    place = home / plain_path(folder)
    system = len(place.parts) < 3 or place.parts[1] in SYSTEM
    if system or home.is_relative_to(place):
        expected = f"a folder of its own, {home}/data say"
        raise UserError("a volume there would hide the checkout, or the system", found=str(place), expected=expected)
    return place
