"""Addresses of Ray clusters: refused by their form, or within seconds where nothing listens."""

from __future__ import annotations

import socket
import time

import pytest

from repro.addresses import answers, check, reach
from repro.errors import UserError


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("head:6379", ("head", 6379)),
        ("10.0.0.7:6379", ("10.0.0.7", 6379)),
        ("ray://head.example.org:10001", ("head.example.org", 10001)),
        ("[::1]:6379", ("::1", 6379)),
        ("auto", None),
        ("local", None),
    ],
)
def test_what_ray_joins(address: str, place: tuple[str, int] | None) -> None:
    assert check(address) == place


@pytest.mark.parametrize(
    "address",
    ["http://head:8265", "https://head", "HTTP://head:8265/", "head", "head:", ":6379", "head:0", "head:70000", "head:٦٣",
     "s3://bucket/x", "head:6379/x", "user@head:6379", " head:6379", "head:6379\n", "-x:1", "a b:1", ""],
)  # fmt: skip
def test_what_it_cannot_join_is_refused_by_its_form(address: str) -> None:
    with pytest.raises(UserError, match="RAY_ADDRESS"):
        reach(address)


def test_a_dashboards_address_is_told_apart() -> None:
    with pytest.raises(UserError, match="of a dashboard"):
        check("http://127.0.0.1:8265")


def test_where_nothing_listens_it_is_said_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and doesn't listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(UserError, match="nothing listens at"):
            reach(address, key="--address")
        assert time.monotonic() - began < 10
        taken.listen()
        assert answers(address)
