"""Connects to the job server of a Ray cluster, with a clear error if that fails."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from repro.console.options import Option
from repro.errors import UserError
from repro.store.objects import without_secret

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

ADDRESS = "http://127.0.0.1:8265"
DASHBOARD = Option("--dashboard", "URL", "address of the cluster's dashboard")
OF_DASHBOARD = f"RAY_API_SERVER_ADDRESS, RAY_ADDRESS or {ADDRESS}"  # its default
NOTES = """\
A remote cluster is reached through `ssh -L 8265:127.0.0.1:8265 HEAD` or `kubectl port-forward`. Its token is taken from
RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.
"""
PATIENCE = (5.0, 15.0)  # seconds to connect, and to answer
JOB = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")  # an id, which becomes part of a URL


def connect(address: str | None) -> tuple[JobSubmissionClient, str]:
    """A client, and the address that it is connected to.

    Args:
        address: address of the cluster's dashboard; None takes it from the environment.

    Raises:
        UserError: nothing answers there, or it refuses us.
    """
    address = address or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS") or ADDRESS
    address = checked(address)
    os.environ["RAY_API_SERVER_ADDRESS"] = address  # Ray gives the environment precedence over an argument
    if _token_exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # read when Ray is first imported
    _reach(address)
    import requests
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    for module in ("_private.runtime_env.packaging", "dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk"):
        logging.getLogger(f"ray.{module}").setLevel(logging.WARNING)
    try:
        return JobSubmissionClient(address), address
    except AuthenticationError as error:
        found = str(error).splitlines()[0]
        expected = "its token in RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token"
        raise UserError("the cluster refuses this client", file=address, found=found, expected=expected) from None
    except (ConnectionError, requests.exceptions.RequestException, RuntimeError) as error:
        raise _no_server(address, str(error).splitlines()[0]) from None


def checked(address: str) -> str:
    """The validated URL of a dashboard.

    Raises:
        UserError: it isn't a URL, or has a password in it, which messages and logs would show.
    """
    try:
        parts = urlsplit(address.strip())
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that isn't a number, an unterminated IPv6 address
        fits = False
    if not fits or not address.strip().isprintable() or " " in address.strip():
        expected = f"a URL such as {ADDRESS}"
        raise UserError("not the address of a dashboard", key="--dashboard", found=repr(address), expected=expected)
    if parts.username is not None or parts.query or parts.fragment:
        what, found = "an address with more than a host, a port and a path", without_secret(address.partition("?")[0])
        expected = f"a URL such as {ADDRESS}; its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        raise UserError(what, key="--dashboard", found=found, expected=expected)
    return address.strip().rstrip("/")


def _reach(address: str) -> None:
    """Requests the version with a timeout of seconds; Ray's own client would wait forever."""
    import requests

    try:
        answer = requests.get(f"{address}/api/version", timeout=PATIENCE, stream=True, allow_redirects=False)
        found = "" if answer.status_code in (200, 401, 403) else f"{answer.status_code} {answer.reason}"
        answer.close()
    except (requests.exceptions.RequestException, UnicodeError) as error:
        found = _innermost(error)
    if found:
        raise _no_server(address, found)


def _no_server(address: str, found: str) -> UserError:
    expected = "the dashboard of a cluster whose head was started with ray[default]"
    return UserError("no Ray job server answers", file=address, found=found, expected=expected)


def _innermost(error: BaseException) -> str:
    """The root cause of a failed request, in one line."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def details(client: JobSubmissionClient, job: str) -> JobDetails:
    """The cluster's record of a job.

    Raises:
        UserError: the cluster doesn't know the job.
    """
    if not JOB.fullmatch(job):
        raise UserError("not the id of a job", key="ID", found=repr(job), expected="one that submit printed")
    try:
        return client.get_job_info(job)
    except RuntimeError as error:
        if "404" not in str(error):
            raise
    known = sorted((job.start_time or 0, job.submission_id) for job in client.list_jobs() if job.submission_id)
    expected = f"one of: {', '.join(name for _, name in known[-5:]) or '(none)'}"
    raise UserError("no such job", key="ID", found=job, expected=expected)


def node_count(address: str) -> int:
    """Number of nodes that are up; 0 if the cluster doesn't tell."""
    from ray.util.state import list_nodes
    from ray.util.state.exception import RayStateApiException

    with contextlib.suppress(RayStateApiException, ConnectionError):
        return len(list_nodes(address=address, filters=[("state", "=", "ALIVE")]))
    return 0


def _token_exists() -> bool:
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(path).is_file()
