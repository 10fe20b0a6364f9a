"""Interactive jobs as apps: their names in URLs, where they answer, when they rest, why they ended (semantics S4)."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

from runtime.domain.jobs import EntryPoint, Job, JobDefinition
from runtime.domain.model import Frozen
from runtime.domain.packages import Configuration, Deployment
from runtime.domain.refs import short_name
from runtime.domain.runs import MACHINE_RESTARTED, Run, RunEnd, RunStatus, judge_end, with_last_line

APP_PORT = 8080
"""Where an app listens in a network of its own."""
APPS_PATH = "/apps"
PUBLIC_PATH = "/public"
"""Below it the apps of public links are found, each under its secret."""

CROWDED_IDLE_SECONDS = 30.0
"""How long an app may go unused while others wait for room: enough for a page to load and open its WebSocket."""

FAILURE_SHOWN = timedelta(minutes=10)
"""So long visitors see that an app has failed, instead of starting it again."""
CRASHED_SOON = timedelta(minutes=1)
"""An app that fails within this time of its first answer was as good as unable to start."""
MOST_CRASHES = 3
"""So many runs in a row may fail soon after they have answered, before visits start no more."""

AppStop = Literal["idle", "replaced", "unready"]
"""Why the runtime itself ends an app: nobody uses it, newer code takes its place, it never answered."""

_KEEPING = ("marimo", "streamlit", "dashboard")
_LABEL_LENGTH = 63  # of a DNS label
_TOKEN_LENGTH = 8


class App(Frozen):
    """An interactive job as its visitors know it; `slug` is a DNS label and stays with the job for good."""

    job_id: UUID
    workspace_id: UUID
    job_ref: str
    slug: str
    label: str


class AppAddresses(Frozen):
    """How browsers reach apps.

    Attributes:
        base_url: The listener of apps, as browsers see it; without a slash at the end.
        domain: Below it every app has a host of its own; None where apps are told apart by their path.
    """

    base_url: str
    domain: str | None = None

    def prefix(self, slug: str) -> str:
        """What stands before an app's own paths; empty where it has a host of its own."""
        return "" if self.domain else f"{APPS_PATH}/{slug}"

    def app_url(self, slug: str) -> str:
        """Where an app is visited."""
        if self.domain is None:
            return f"{self.base_url}{APPS_PATH}/{slug}/"
        base = urlsplit(self.base_url)
        port = f":{base.port}" if base.port else ""
        return f"{base.scheme}://{slug}.{self.domain}{port}/"

    def public_url(self, secret: UUID) -> str:
        """Where whoever holds the secret of a public link visits its app."""
        return f"{self.base_url}{PUBLIC_PATH}/{secret}/"


def make_slug(job_ref: str, token: str) -> str:
    """The name of an app in URLs: what its job is called, as far as a host's name can hold it, and a random token.

    >>> make_slug("jobs.shop.Sales_Board", "0a1b2c3d")
    'sales-board-0a1b2c3d'
    """
    plain = unicodedata.normalize("NFKD", short_name(job_ref)).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain)[: _LABEL_LENGTH - _TOKEN_LENGTH - 1].strip("-")
    return f"{name or 'app'}-{token}"


def is_app(definition: JobDefinition) -> bool:
    """Whether the job is one that people visit."""
    return definition.entry_point.job_type == "interactive"


def keeps_prefix(entry_point: EntryPoint) -> bool:
    """Whether the app is told the prefix under which it is reached and expects it in the paths of requests.

    Other kinds see paths from `/` on, and the prefix in `X-Forwarded-Prefix`.
    """
    return entry_point.launcher.rpartition(".")[2] in _KEEPING


def idle_seconds_of(definition: JobDefinition, default: float) -> float:
    """How long an app may go unused before it is ended: its `idle_timeout`, which the SDK writes as the timeout."""
    return default if definition.timeout_seconds is None else definition.timeout_seconds


def idle_at(used_at: datetime, in_use: int, idle_seconds: float) -> datetime | None:
    """When an app will have been idle for too long; None while a request or WebSocket is open (semantics S4).

    Args:
        used_at: When the last use began or ended.
        in_use: Requests and WebSockets under way.
    """
    return None if in_use else used_at + timedelta(seconds=idle_seconds)


def idle_reason(seconds: float, *, makes_room: bool = False) -> str:
    """Why an idle app was ended.

    >>> idle_reason(300), idle_reason(90)
    ('idle for 5 min', 'idle for 90 s')
    """
    minutes, rest = divmod(seconds, 60)
    words = f"idle for {minutes:g} min" if minutes and not rest else f"idle for {seconds:g} s"
    return f"{words} while others waited for room" if makes_room else words


def unready_reason(port: int, seconds: float, listening: frozenset[int], problem: str | None = None) -> str:
    """Why an app that never answered was ended, in words that say what to do about it.

    Args:
        listening: The ports on which something listens in the app's network.
        problem: Why its last answer was none that visitors could be given; None if there was no answer.
    """
    elsewhere = sorted(listening - {port})
    if problem is not None:
        return f"what it answers on port {port} cannot be passed on to visitors: {problem}"
    if port in listening:
        return f"it listens on port {port}, but did not answer an HTTP request within {seconds:g} s"
    if elsewhere:
        ports = "port " + str(elsewhere[0]) if len(elsewhere) == 1 else "ports " + ", ".join(map(str, elsewhere))
        return f"it listens on {ports}, not on the port it was given, {port} (`run_args.port`)"
    return f"nothing answered on port {port} within {seconds:g} s"


def outdated_reason(
    run: Run, job: Job, deployment: Deployment | None, configuration: Configuration | None
) -> str | None:
    """In words, what is newer than an app's run; None if nothing is.

    Args:
        job: As it is defined now.
        deployment: The newest code; None where there is none.
        configuration: The newest settings.
    """
    if job.archived_at is not None:
        return "its job was archived"
    if deployment is not None and deployment.id != run.deployment_id:
        return f"replaced by version {deployment.version} of the code"
    if run.job_version_id != job.version.id:
        return f"replaced by version {job.version.version} of the job"
    if configuration is not None and configuration.id != run.configuration_id:
        return f"replaced: there are newer settings, version {configuration.version}"
    return None


def holds_back(runs: Sequence[Run], now: datetime) -> bool:
    """Whether a visit shows why an app has failed, since it would only fail again, instead of starting it.

    An app that has answered is worth another start, whatever ended it, unless its runs keep failing as soon as they
    have answered. A restart of the machine says nothing about the app.

    Args:
        runs: The newest `MOST_CRASHES` of the app, newest first, as far as they are not outdated.
    """
    if not runs or not _has_failed_soon(runs[0]):
        return False
    ended_at = runs[0].ended_at
    if ended_at is None or now - ended_at > FAILURE_SHOWN:
        return False
    return runs[0].answered_at is None or (len(runs) >= MOST_CRASHES and all(map(_has_failed_soon, runs)))


def _has_failed_soon(run: Run) -> bool:
    if run.status != "failed" or run.ended_at is None or run.reason == MACHINE_RESTARTED:
        return False
    return run.answered_at is None or run.ended_at - run.answered_at <= CRASHED_SOON


def judge_app_end(
    exit_code: int | None,
    *,
    stopped_for: Literal["timeout", "cancel"] | AppStop | None,
    stop_words: str | None,
    was_ready: bool,
    last_line: str,
) -> RunEnd:
    """Turn the way an app's process ended into the end of its run (semantics S4, S6).

    An app ends when it is told to, so how well it takes that says nothing: one that was idle has completed, one that
    was cancelled is cancelled, whatever its exit code. So is one that is replaced before it has answered: whoever waits
    for it must learn that it will not.

    Args:
        stop_words: The reason, where the runtime itself asked the app to end.
        was_ready: Whether it has ever answered.
        last_line: The last non-empty line of its output.
    """
    if stopped_for in ("idle", "replaced"):
        status: RunStatus = "completed" if was_ready else "cancelled"
        return RunEnd(status=status, exit_code=exit_code, reason=stop_words)
    if stopped_for == "unready":
        return RunEnd(status="failed", exit_code=exit_code, reason=stop_words)
    if stopped_for == "cancel":
        return RunEnd(status="cancelled", exit_code=exit_code, reason="cancelled on request")
    if exit_code is not None and not was_ready:
        what = f"killed by signal {exit_code - 128}" if exit_code > 128 else f"ended with exit code {exit_code}"
        reason = with_last_line(f"{what} before it answered", last_line)
        return RunEnd(status="failed", exit_code=exit_code, reason=reason)
    return judge_end(exit_code, stopped_for=None, last_line=last_line)
