"""What the public client needs beyond its contract.

`launch -f` of dlt-runtime 0.26 polls a batch run until a poll shows `starting`, and for ever if it misses that state,
which lasts as long as it takes to spawn a sandbox. Slowing every run down for it would be wrong; so that client, for a
run it has just launched, is told `starting` once, and then opens the log stream as it would have.
"""

import time
from collections.abc import Callable
from uuid import UUID

from runtime.domain.identities import Principal
from runtime.domain.runs import Run, RunStatus
from runtime.wire.jobs import TriggerJobsRequest

_USER_AGENT = "dlt-runtime-cli/0.26"
_SECONDS = 10.0
_TRUTH_FIRST: frozenset[RunStatus] = frozenset({"failed", "cancelled", "cancelling"})
"""States that end the client's polling by themselves, or that its user has asked for."""


class StartingOnce:
    """Remembers the runs whose launcher has yet to see `starting`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[tuple[UUID, UUID], float] = {}

    def remember(self, principal: Principal, user_agent: str, request: TriggerJobsRequest, run: Run) -> None:
        """Note a batch run that a trigger request has started, if it is that client's `launch`.

        Its `launch` names one job and says nothing of the profile; its `trigger` always sends a profile, if only null.
        """
        is_launch = "profile" not in request.model_fields_set and not request.selectors
        if is_launch and _is_that_client(user_agent):
            now = self._clock()
            self._waiting = {key: until for key, until in self._waiting.items() if until > now}
            self._waiting[principal.user.id, run.id] = now + _SECONDS

    def status(self, principal: Principal, user_agent: str, run: Run) -> RunStatus:
        """The status to show to whoever asks for one run; the same person's other programs are told the truth."""
        if not _is_that_client(user_agent):
            return run.status
        until = self._waiting.pop((principal.user.id, run.id), None)
        if until is None or until <= self._clock() or run.status in _TRUTH_FIRST:
            return run.status
        return "starting"


def _is_that_client(user_agent: str) -> bool:
    return user_agent.startswith(_USER_AGENT)
