"""The runs that one question asks for, as far back as pages have come, and current as far as changes have."""

from datetime import UTC, datetime
from uuid import UUID

from runtime.wire.run_details import DetailedRunResponse, ListRunsResponse
from runtime.wire.runs import FINAL_RUN_STATUSES
from tui.estate import KEPT_RUNS, Estate, newest_first

OVERLAP = 20
"""Each page begins with so many of the last: what has left the list since has moved the others up."""

Run = DetailedRunResponse


class RunPages:
    """Newest first, without a gap.

    Attributes:
        wanted: The question: `status` and `script_id` as the API takes them, and `start`, which bounds the answer.
        since: All that is wanted and was created then or later is here; None where all is that there is.
        total: How many there are in all; None until a page has said so.
        unsure: Runs that went on when they were last heard of, and that the workspace's newest no longer hold:
            they have ended or are gone, which only the daemon can tell.
    """

    def __init__(self, estate: Estate, **wanted: str) -> None:
        self.wanted = {name: value for name, value in wanted.items() if value}
        self.runs: dict[UUID, Run] = {}
        self.since: datetime | None = None
        self.total: int | None = None
        self.unsure: set[UUID] = set()
        self._current_until: datetime | None = None
        self._reached = 0
        self._share = estate.share
        self.renew(estate)

    @property
    def is_complete(self) -> bool:
        """Whether all are here, so that nothing is left to ask for."""
        start = self.wanted.get("start")
        if self._current_until is None:
            return False
        return self.since is None or (start is not None and self.since <= datetime.fromisoformat(start))

    @property
    def count(self) -> int:
        """How many there are in all, as far as is known."""
        return len(self.runs) if self.is_complete or self.total is None else max(self.total, len(self.runs))

    @property
    def offset(self) -> int:
        """Where the next page begins."""
        start = self.wanted.get("start")
        since = datetime.fromisoformat(start) if start else None
        here = sum(1 for run in self.runs.values() if since is None or run.date_added >= since)
        return max(0, here - OVERLAP)

    def take(self, page: ListRunsResponse) -> None:
        """Add the page that was asked for."""
        self.total = page.total
        self.runs |= {run.id: self._share(run) for run in page.items}
        self._reached = len(self.runs)
        if page.items and page.offset + len(page.items) < page.total:
            self.since = min(page.items[-1].date_added, self.since or page.items[-1].date_added)
        else:
            self.since = None

    def put(self, run_id: UUID, run: Run | None) -> None:
        """A run has changed, or is gone."""
        is_here = run_id in self.runs
        self.unsure.discard(run_id)
        if run is not None and self._current_until is not None:
            self._current_until = max(run.date_added, self._current_until)
        if run is None or not self._wants(run):
            self.runs.pop(run_id, None)
        elif is_here or self.since is None or run.date_added >= self.since:
            self.runs[run_id] = self._share(run)
        if self.total is not None:
            self.total += (run_id in self.runs) - is_here

    def renew(self, estate: Estate) -> None:
        """Go on from what is known of the workspace; changes may have been missed."""
        self._share = estate.share
        if not estate.is_loaded:
            return
        recent, since = estate.recent, estate.since
        if since is not None and (self._current_until is None or self._current_until < since):
            # Nothing is here yet, or so much has come since that there would be a gap.
            self.runs, self.since, self.total = {}, since, None
            self._reached = 0
            self.unsure.clear()
        elif since is None:
            self.since = None
        for run in list(self.runs.values()):
            known = estate.runs.get(run.id)
            if known is run:
                continue
            if known is not None or since is None or run.date_added >= since:
                self.put(run.id, known)
            elif run.status not in FINAL_RUN_STATUSES:
                self.unsure.add(run.id)
        for run in recent:
            if self.runs.get(run.id) is not run:
                self.put(run.id, run)
        self._current_until = recent[0].date_added if recent else datetime.min.replace(tzinfo=UTC)

    def trim(self, seen: datetime | None = None) -> None:
        """Let go of the oldest, once a tenth more are here than were asked for, or than the workspace keeps at hand.

        Args:
            seen: What was created then or later is looked at, and stays.
        """
        most = max(KEPT_RUNS, self._reached)
        if len(self.runs) <= most + most // 10:
            return
        ordered = newest_first(self.runs.values())
        last = ordered[most - 1].date_added
        last = last if seen is None else min(last, seen)
        kept = {run.id: run for run in ordered if run.date_added >= last}
        if len(kept) < len(self.runs):
            self.total = self.count if self.is_complete else self.total
            self.runs, self.since = kept, last
            self.unsure &= kept.keys()

    def forget_before(self, start: datetime) -> None:
        """Let go of what had ended by then: it is wanted no more."""
        self.wanted["start"] = start.isoformat()
        left = [
            run.id
            for run in self.runs.values()
            if run.date_added < start
            and run.status in FINAL_RUN_STATUSES
            and (run.time_ended or run.date_added) < start
        ]
        for run_id in left:
            self.put(run_id, None)

    def _wants(self, run: Run) -> bool:
        return self.wanted.get("status") in (None, run.status) and self.wanted.get("script_id") in (
            None,
            str(run.script.id),
        )
