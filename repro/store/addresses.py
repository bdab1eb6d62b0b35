"""Opens object store addresses through pyarrow, with a time limit."""

from __future__ import annotations

import re

from pyarrow import fs

from repro.errors import UserError
from repro.patience import within

PATIENCE = 30.0  # seconds to wait for a store's first answer; pyarrow itself retries a Google store for 15 minutes
_reached: set[str] = set()  # buckets that have answered this process before


def open_uri(uri: str, *, key: str | None = None) -> tuple[fs.FileSystem, str]:
    """The file system of a URI and the path in it; checks that the bucket answers, once per process.

    Raises:
        UserError: an address that pyarrow doesn't support or can't parse.
        OSError: a store that can't be reached; TimeoutError: one that doesn't answer.
    """
    place = without_secret(uri)
    filesystem, path = within(PATIENCE, lambda: _opened(uri, key), place)
    bucket = f"{filesystem.type_name}://{path.partition('/')[0]}"
    if bucket not in _reached and filesystem.type_name != "local":
        within(PATIENCE, lambda: _ask(filesystem, path), place)
        _reached.add(bucket)
    return filesystem, path


def without_secret(uri: str) -> str:
    """A URI for messages: without user and password."""
    return re.sub(r"//[^/@]*@", "//***@", uri)


def _opened(uri: str, key: str | None) -> tuple[fs.FileSystem, str]:
    text = uri
    if uri.startswith("s3://"):
        # Small objects in one PUT: some stores show the replaced object as missing during a multipart upload.
        text += f"{'&' if '?' in text else '?'}allow_delayed_open=true"
    try:
        filesystem, path = fs.FileSystem.from_uri(text)
    except ValueError as error:  # pyarrow's ArrowInvalid
        raise UserError(
            "an address that can't be opened",
            key=key,
            found=f"{without_secret(uri)}: {without_secret(str(error))}",
            expected="a folder, s3://bucket/folder, gs://bucket/folder or file:///folder",
        ) from error
    if not path.strip("/") and filesystem.type_name != "local":
        raise UserError(
            "an address without a bucket", key=key, found=without_secret(uri), expected="s3://bucket/folder"
        )
    return filesystem, path


def _ask(filesystem: fs.FileSystem, path: str) -> None:
    try:
        filesystem.get_file_info(path)
    except OSError as error:
        if "NETWORK_CONNECTION" in str(error):  # a store may deny listing and still allow reading
            raise
