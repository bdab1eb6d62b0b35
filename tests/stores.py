"""Where results may lie: a local folder, or an S3 endpoint, moto's server in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import botocore.session

BUCKET = "bucket"


@contextmanager
def s3_server(log: Path) -> Iterator[dict[str, str]]:
    """Starts an S3 server with an empty bucket; gives the environment by which processes find it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as server:
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            session = botocore.session.get_session()
            session.set_credentials("key", "secret")
            client = session.create_client("s3", region_name="us-east-1", endpoint_url=url)
            client.create_bucket(Bucket=BUCKET)
            yield {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        finally:
            server.terminate()
