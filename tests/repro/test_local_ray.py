"""A local Ray answers its own user alone: a token in the environment, the loopback, a private folder. One Ray for all."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
import ray

from repro import local_ray

pytestmark = [pytest.mark.slow, pytest.mark.long]

WORDS = ("SigIgn", "SigBlk")  # of /proc/PID/status: what a process ignores and blocks
ASK = "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty home of a user who has a token of another cluster's in the environment, while a local Ray is at work."""
    home = tmp_path_factory.mktemp("home")
    ray.shutdown()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_AUTH_TOKEN", "of-another-cluster")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.delenv("RAY_ADDRESS", raising=False)
        local_ray.start(1)
        yield home
        local_ray.stop()
        assert os.environ["RAY_AUTH_TOKEN"] == "of-another-cluster"
        assert os.environ["RAY_AUTH_MODE"] == "disabled"


def family() -> list[psutil.Process]:
    """This process and Ray's; those of multiprocessing are other tests'."""
    me, children = psutil.Process(), psutil.Process().children(recursive=True)
    return [me, *(child for child in children if "multiprocessing" not in " ".join(child.cmdline()))]


def asked(token: str | None) -> bytes:
    """What the cluster's head answers a client with a token, or with none."""
    with grpc.insecure_channel(ray.get_runtime_context().gcs_address) as channel:
        metadata = [("authorization", f"Bearer {token}")] if token else []
        answer: bytes = channel.unary_unary(ASK)(b"", timeout=20, metadata=metadata)
        return answer


def test_a_client_without_the_token_is_refused_and_ours_is_answered(home: Path) -> None:
    for token in (None, "of-another-cluster", "0" * 64):
        with pytest.raises(grpc.RpcError) as refused:
            asked(token)
        assert refused.value.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert asked(os.environ["RAY_AUTH_TOKEN"])


def test_the_token_is_in_no_file(home: Path) -> None:
    assert not (home / ".ray").exists()
    token = os.environ["RAY_AUTH_TOKEN"].encode()
    files = [file for file in folder().rglob("*") if file.is_file()]
    assert len(files) > 5
    assert not [file for file in files if token in file.read_bytes()]


def test_every_server_listens_on_the_loopback(home: Path) -> None:
    ray.get(ray.remote(lambda: 1).remote())  # a worker has one too
    listening = {
        (process.name(), connection.laddr.ip.removeprefix("::ffff:"))
        for process in family()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {"gcs_server", "raylet"} <= {name for name, _ in listening}
    assert {address for _, address in listening} <= {"127.0.0.1", "::1"}


def folder() -> Path:
    """Ours, in which Ray has made its own."""
    node = ray._private.worker._global_node
    assert node is not None
    return Path(node.get_temp_dir_path()).parent


def test_its_files_are_in_a_folder_of_its_user_alone(home: Path) -> None:
    found = folder().stat()
    assert stat.S_IMODE(found.st_mode) == 0o700
    assert found.st_uid == os.getuid()
    sockets = [p for p in folder().rglob("*") if p.is_socket()]
    assert sockets
    assert max(len(os.fsencode(p)) for p in sockets) < 104


def test_a_closed_terminal_ends_none_of_its_processes(home: Path) -> None:
    ignored = 1 << (signal.SIGHUP - 1)
    for process in family()[1:]:
        status = Path(f"/proc/{process.pid}/status").read_text()
        masks = {
            key: int(mask, 16) for key, _, mask in (line.partition(":") for line in status.splitlines()) if key in WORDS
        }
        assert (masks["SigIgn"] | masks["SigBlk"]) & ignored, process.name()
