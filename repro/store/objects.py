"""Conditional PUT, which pyarrow's object stores lack: it succeeds only if no object exists yet. Used for leases."""

from __future__ import annotations

import os

from pyarrow import fs

from repro.errors import UserError


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
