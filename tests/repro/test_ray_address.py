"""RAY_ADDRESS is held within seconds, before any work: Ray itself would try for minutes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from repro import ray_address
from repro.errors import UserError


@contextlib.contextmanager
def saying(words: bytes | None, family: socket.AddressFamily = socket.AF_INET) -> Iterator[int]:
    """A server that answers each who calls with these words, or not at all; its port."""
    home = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.create_server((home, 0), family=family) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    line, _ = server.accept()
                    kept.append(line)
                    if words is not None:
                        line.recv(100)
                        line.sendall(words)

        kept: list[socket.socket] = []
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        for line in kept:
            line.close()


@pytest.mark.parametrize("address", ["", "  ", "local", " local "])
def test_nothing_and_local_mean_this_machine(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert ray_address.given() is None
    ray_address.check()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("head:6379", ("head", 6379)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
        ("[::1]:6379", ("::1", 6379)),
        ("[fe80::1%eth0]:6379", ("fe80::1%eth0", 6379)),
        ("ray://head.cluster.local:10001", ("head.cluster.local", 10001)),
        ("ray://[2001:db8::1]:10001", ("2001:db8::1", 10001)),
    ],
)
def test_addresses_of_ray_are_parsed(address: str, place: tuple[str, int]):
    assert ray_address.parse(address) == place


@pytest.mark.parametrize(
    "address",
    ["http://head:8265", "https://head:8265", "head", "head:", ":6379", "head:0", "head:65536", "head:port", "::1:6379",
     "1234", "tcp://head:6379", "s3://bucket/x", "head:6379 head:6380", "head;rm -rf:6379", "ray://head", "head:6379/x"],
)  # fmt: skip
def test_what_is_no_address_of_ray_is_refused(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError) as error:
        ray_address.check()
    assert error.value.key == "RAY_ADDRESS"
    assert address in str(error.value.found)
    assert "6379" in str(error.value.expected)


def test_where_nothing_listens_or_answers_or_is_no_ray_is_said_within_seconds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ray_address, "PATIENCE", 0.5)
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]
    with saying(None) as silent, saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as web, saying(b"") as mute:
        for port, message in (
            (closed, "nothing listens"),
            (silent, "nothing listens"),
            (web, "not a Ray head"),
            (mute, ""),
        ):
            for scheme in ("", "ray://"):
                with pytest.raises(UserError, match=message or "nothing listens|not a Ray head"):
                    ray_address.check(f"{scheme}127.0.0.1:{port}")
    with pytest.raises(UserError, match=r"unknown host|nothing listens"):
        ray_address.check("no-such-host.invalid:6379")
    assert time.monotonic() - began < 15


def test_what_greets_as_grpc_does_is_taken_for_a_head_on_either_kind_of_network():
    settings = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
    with saying(settings) as port:
        ray_address.check(f"127.0.0.1:{port}")
    if socket.has_ipv6:
        with contextlib.suppress(OSError), saying(settings, socket.AF_INET6) as port:  # a container may lack it
            ray_address.check(f"[::1]:{port}")
