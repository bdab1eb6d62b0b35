"""An S3 endpoint of a test: moto's server, in this process. It may be slow, fail for a while, or lose an answer."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import boto3
import pytest
from moto.server import ThreadedMotoServer
from werkzeug.exceptions import ServiceUnavailable

BUCKET = "sweeps"
SECRET = "a-secret-that-stays-where-it-is"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Store:
    """The endpoint.

    Attributes:
        through: given the server's application, returns the one that answers its requests, which may count or delay them.
        latency: seconds that each request takes at least.
        lost: how many of the next requests that write are carried out and answered by an error.
        requests: method and path of each request so far.
    """

    address: str = "127.0.0.1"
    through: Callable[[WSGIApplication], WSGIApplication] = lambda app: app
    port: int = field(default_factory=free_port)
    latency: float = 0.0
    lost: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)

    def up(self) -> None:
        """Serves; what was stored before is still there, since the servers of one process share it."""
        self._server = ThreadedMotoServer(self.address, self.port, verbose=False)
        self._server.start()
        assert self._server._server is not None
        self._app, self._server._server.app = self.through(self._server._server.app), self._answer

    def down(self) -> None:
        """Refuses connections."""
        self._server.stop()
        assert self._server._server is not None
        self._server._server.server_close()

    @contextlib.contextmanager
    def outage(self, seconds: float) -> Iterator[None]:
        """Is down while the body runs, and for so many seconds at least."""
        end = time.monotonic() + seconds
        self.down()
        try:
            yield
            time.sleep(max(0.0, end - time.monotonic()))
        finally:
            self.up()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        time.sleep(self.latency)
        if self.lost and environ["REQUEST_METHOD"] == "PUT":
            self.lost -= 1
            b"".join(self._app(environ, lambda *_: lambda _: None))
            return ServiceUnavailable()(environ, start)
        return self._app(environ, start)


@contextlib.contextmanager
def serving(
    address: str = "127.0.0.1", through: Callable[[WSGIApplication], WSGIApplication] = lambda app: app
) -> Iterator[tuple[Store, dict[str, str]]]:
    """Serves an empty bucket. Yields its store, and the variables by which clients find it, which are set here too."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = Store(address, through)
    store.up()
    env = {
        "AWS_ENDPOINT_URL": f"http://{address}:{store.port}",
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
        yield store, env
    store.down()


@contextlib.contextmanager
def s3(
    address: str = "127.0.0.1", through: Callable[[WSGIApplication], WSGIApplication] = lambda app: app
) -> Iterator[dict[str, str]]:
    """Serves an empty bucket. Yields the variables by which clients find it, which are set here too."""
    with serving(address, through) as (_, env):
        yield env
