"""The address of a dashboard: refused by its form, or within seconds where no Ray answers."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cluster import client
from cluster.__main__ import main
from tests.stores import free_port


@pytest.mark.parametrize(
    "address",
    ["", "head", "head:8265", "ray://head:10001", "ftp://head", "http://", "http://:8265", "http://head:port", "http://head:0",
     "http://[::1", "http://a b:8265", "http://head:8265/?x=1", "http://me:password@head:8265", "http://head\n:8265", "s3://bucket"],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["logs", "stop"])
def test_what_is_no_dashboard_is_refused_by_its_form(
    verb: str, address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address or "head:6379")
    assert main([verb, "job-1", *(["--dashboard", address] if address else [])]) == 2
    err = capsys.readouterr().err
    assert "--dashboard" in err
    assert "password" not in err


class NotRay(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_where_no_ray_answers_it_is_said_in_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE", (1.0, 1.0))
    with socket.create_server(("127.0.0.1", 0)) as silent, HTTPServer(("127.0.0.1", 0), NotRay) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        port = silent.getsockname()[1]
        for address in (
            f"http://127.0.0.1:{free_port()}",
            f"http://127.0.0.1:{port}",
            f"https://127.0.0.1:{other.server_port}",
            f"http://127.0.0.1:{other.server_port}",
            "http://no-such-host.invalid:8265",
        ):
            began = time.monotonic()
            assert main(["logs", "job-1", "--dashboard", address]) == 2
            assert time.monotonic() - began < 30
            assert "no Ray job server answers" in capsys.readouterr().err
        other.shutdown()


@pytest.mark.parametrize(
    "words", [("--nodes", "0"), ("--nodes", "1", "--timeout", "nan"), ("--nodes", "1", "--timeout", "0")]
)
def test_wait_takes_numbers_that_end(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    with pytest.raises(SystemExit):
        main(["wait", *words])


@pytest.mark.parametrize("address", ["", "http://head:8265", "head", "head:0"])
def test_wait_and_the_doctor_say_what_is_no_cluster(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert main(["wait", "--nodes", "1"]) == 2
    assert "RAY_ADDRESS" in capsys.readouterr().err


def test_wait_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", address := f"127.0.0.1:{free.getsockname()[1]}")
        assert main(["wait", "--nodes", "2", "--timeout", "1"]) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first == f"waiting for 2 nodes at {address}"
    assert second.startswith("0 of 2 nodes have joined: nothing listens")
    assert last.startswith("0 of 2 nodes have joined in 1 s: ")
