"""Runs together with their job."""

from runtime.wire.jobs import ScriptResponse
from runtime.wire.model import Page
from runtime.wire.runs import RunResponse


class DetailedRunResponse(RunResponse):
    """One run and the job it is of, as that stands today."""

    script: ScriptResponse


class ListRunsResponse(Page[DetailedRunResponse]):
    """Runs, newest first."""
