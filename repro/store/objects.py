"""Object stores: opens their addresses through pyarrow, with a time limit, and adds the conditional PUT that it lacks.

A conditional PUT succeeds only if no object exists yet. Leases are made by it.
"""

from __future__ import annotations

import os
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


def create(filesystem: fs.FileSystem, path: str, data: bytes) -> bool:
    """Creates an object; returns False if it exists already.

    Args:
        filesystem: pyarrow's S3 or GCS file system.
        path: bucket/key.

    Raises:
        UserError: another file system, or a store without conditional PUT.
        ConnectionError: the store can't be reached, or fails at the moment.
    """
    bucket, _, key = path.partition("/")
    if isinstance(filesystem, fs.S3FileSystem):
        return _s3(bucket, key, data)
    if isinstance(filesystem, getattr(fs, "GcsFileSystem", ())):
        return _gcs(bucket, key, data)
    raise _refused(filesystem, path)


def require(filesystem: fs.FileSystem, path: str) -> None:
    """Raises UserError if `create` doesn't support this kind of store."""
    if not isinstance(filesystem, (fs.S3FileSystem, getattr(fs, "GcsFileSystem", fs.S3FileSystem))):
        raise _refused(filesystem, path)


def _refused(filesystem: fs.FileSystem, path: str) -> UserError:
    return UserError(
        "a store without a conditional PUT", file=path, found=filesystem.type_name, expected="a path, s3:// or gs://"
    )


def _s3(bucket: str, key: str, data: bytes) -> bool:
    """Uses botocore, with the same credentials, region and AWS_ENDPOINT_URL as pyarrow."""
    import botocore.session
    from botocore import exceptions

    client = botocore.session.get_session().create_client("s3")
    try:
        client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
        return True
    except exceptions.ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status in (409, 412):  # another writer's object exists, or is being written
            return False
        if status == 429 or status >= 500:
            raise ConnectionError(f"s3://{bucket}/{key}: {error}") from error
        raise UserError("a conditional PUT was refused", file=f"s3://{bucket}/{key}", found=str(error)) from error
    except exceptions.BotoCoreError as error:
        passing = isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError))
        raise (ConnectionError if passing else OSError)(f"s3://{bucket}/{key}: {error}") from error
    finally:
        client.close()


def _gcs(bucket: str, key: str, data: bytes) -> bool:
    """Uses google-auth, with the same credentials as pyarrow; STORAGE_EMULATOR_HOST selects another server."""
    import google.auth
    import google.auth.exceptions
    import google.auth.transport.requests
    import requests

    server = os.environ.get("STORAGE_EMULATOR_HOST")
    try:
        if server:
            session = requests.Session()
        else:
            scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]
            session = google.auth.transport.requests.AuthorizedSession(google.auth.default(scopes=scopes)[0])
        answer = session.post(
            f"{server or 'https://storage.googleapis.com'}/upload/storage/v1/b/{bucket}/o",
            params={"uploadType": "media", "name": key, "ifGenerationMatch": "0"},
            data=data,
            timeout=60,
        )
    except google.auth.exceptions.GoogleAuthError as error:
        raise OSError(f"gs://{bucket}/{key}: {error}") from error
    except requests.RequestException as error:
        raise ConnectionError(f"gs://{bucket}/{key}: {error}") from error
    if answer.status_code == 412:
        return False
    if answer.status_code == 429 or answer.status_code >= 500:
        raise ConnectionError(f"gs://{bucket}/{key}: {answer.status_code} {answer.reason}")
    if not answer.ok:
        raise OSError(f"gs://{bucket}/{key}: {answer.status_code} {answer.reason}")
    return True
