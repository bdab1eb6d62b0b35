"""The job server of a Ray cluster: reached, or a clear word on why not."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from repro.errors import UserError

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

ADDRESS = "http://127.0.0.1:8265"


def connect(address: str | None) -> tuple[JobSubmissionClient, str]:
    """A client, and the address that it goes to.

    Args:
        address: of the cluster's dashboard; None takes it from the environment.

    Raises:
        UserError: nothing answers there, or it refuses us.
    """
    address = address or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS") or ADDRESS
    if not address.startswith(("http://", "https://")):
        raise UserError(
            "not the address of a dashboard", key="--address", found=address, expected=f"a URL, {ADDRESS} say"
        )
    address = address.rstrip("/")
    os.environ["RAY_API_SERVER_ADDRESS"] = address  # Ray lets the environment win over an argument
    if _token_exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # read when Ray is first imported
    import requests
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    for module in ("_private.runtime_env.packaging", "dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk"):
        logging.getLogger(f"ray.{module}").setLevel(logging.WARNING)
    try:
        return JobSubmissionClient(address), address
    except AuthenticationError as error:
        raise UserError(
            "the cluster refuses us",
            file=address,
            found=str(error).splitlines()[0],
            expected="its token in RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token",
        ) from None
    except (ConnectionError, requests.exceptions.RequestException, RuntimeError) as error:
        raise UserError(
            "no Ray job server answers",
            file=address,
            found=str(error).splitlines()[0],
            expected="the dashboard of a cluster whose head was started with ray[default]",
        ) from None


def details(client: JobSubmissionClient, job: str) -> JobDetails:
    """What the cluster knows of a job.

    Raises:
        UserError: it knows no such job.
    """
    try:
        return client.get_job_info(job)
    except RuntimeError as error:
        if "404" not in str(error):
            raise
    known = sorted((job.start_time or 0, job.submission_id) for job in client.list_jobs() if job.submission_id)
    raise UserError(
        "no such job", key="ID", found=job, expected=f"one of: {', '.join(name for _, name in known[-5:]) or '(none)'}"
    )


def node_count(address: str) -> int:
    """Nodes that are up; 0 where the cluster doesn't say."""
    from ray.util.state import list_nodes
    from ray.util.state.exception import RayStateApiException

    with contextlib.suppress(RayStateApiException, ConnectionError):
        return len(list_nodes(address=address, filters=[("state", "=", "ALIVE")]))
    return 0


def _token_exists() -> bool:
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(path).is_file()
