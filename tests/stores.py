"""An S3 endpoint of a test: moto's server, in this process."""

from __future__ import annotations

import contextlib
import logging
import socket
import urllib.request
from collections.abc import Callable, Iterator
from wsgiref.types import WSGIApplication

import boto3
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "sweeps"
SECRET = "a-secret-that-stays-where-it-is"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def s3(
    address: str = "127.0.0.1", through: Callable[[WSGIApplication], WSGIApplication] = lambda app: app
) -> Iterator[dict[str, str]]:
    """Serves an empty bucket. Yields the variables by which clients find it, which are set here too.

    through: given the server's application, returns the one that answers its requests, which may count or delay them.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port = free_port()
    server = ThreadedMotoServer(address, port)
    server.start()
    assert server._server is not None
    server._server.app = through(server._server.app)
    env = {
        "AWS_ENDPOINT_URL": f"http://{address}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as here:
        for name, value in env.items():
            here.setenv(name, value)
        # Servers of one process share what is stored.
        urllib.request.urlopen(
            urllib.request.Request(f"{env['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")
        ).close()
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield env
    server.stop()
