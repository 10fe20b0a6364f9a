"""Services of members, links, numbers and events that answer from memory."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from runtime.dispatch.feed import Update
from runtime.dispatch.health import Workload
from runtime.dispatch.members import Person
from runtime.dispatch.statistics import BucketStatistics
from runtime.domain.buckets import BucketSize, buckets_of
from runtime.domain.identities import Member, Principal, Role, User
from runtime.domain.summaries import PipelineSummary
from runtime.store.changes import ChangeKind
from runtime.store.statistics import EndedTotal
from tests.factories import NOW, make_user


class FakeMembers:
    """One owner."""

    def __init__(self) -> None:
        self.asked: list[tuple[Person, str]] = []
        self.user = make_user()

    async def of_workspace(self, workspace_id: UUID) -> Sequence[Member]:
        return [Member(user=self.user, role="owner")]

    async def add(self, principal: Principal, workspace_id: UUID, person: Person, role: Role) -> Member:
        self.asked.append((person, role))
        return Member(user=self.user, role=role)

    async def remove(self, principal: Principal, workspace_id: UUID, user_id: UUID) -> None:
        """Nobody to remove."""

    async def of_organization(self, principal: Principal) -> Sequence[User]:
        return [self.user, make_user("root@localhost", local_uid=0)]

    async def admit(self, principal: Principal, person: Person) -> User:
        return self.user

    async def expel(self, principal: Principal, user_id: UUID) -> None:
        """Nobody to expel."""


class FakePublishing:
    """Links that nobody keeps."""

    async def publish(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> None:
        """Nothing to keep."""

    async def unpublish(self, principal: Principal, workspace_id: UUID, id_or_ref: str) -> None:
        """Nothing to end."""


class FakeSummaries:
    """Remembers what was attached."""

    def __init__(self) -> None:
        self.attached: list[PipelineSummary] = []

    async def attach(self, workspace_id: UUID, run_id: UUID, summary: PipelineSummary) -> None:
        self.attached.append(summary)


class FakeStatistics:
    """Periods in which nothing ran."""

    async def count(
        self, workspace_ids: Sequence[UUID], start: datetime, end: datetime, zone: ZoneInfo, size: BucketSize
    ) -> list[BucketStatistics]:
        return [BucketStatistics(bucket) for bucket in buckets_of(start, end, zone, size)]


class FakeFeed:
    """A workspace whose last change has the number `number`, with the updates it is given."""

    def __init__(self) -> None:
        self.number = 7
        self.updates: list[Update] = []
        self.asked_after: list[int] = []
        self.woken: list[UUID] = []

    def wake(self, workspace_id: UUID) -> None:
        self.woken.append(workspace_id)

    async def watermark(self, workspace_id: UUID) -> datetime | None:
        return NOW

    async def version(self, workspace_id: UUID, kinds: Sequence[ChangeKind]) -> int:
        return self.number

    async def run_version(self, workspace_id: UUID, run_id: UUID) -> int:
        return self.number

    async def position(self, workspace_id: UUID) -> int:
        return self.number

    async def follow(self, principal: Principal, workspace_id: UUID, after: int) -> AsyncIterator[Sequence[Update]]:
        self.asked_after.append(after)
        if self.updates:
            yield self.updates


class FakeHealth:
    """A machine with some work behind it."""

    def require_room(self, what: str) -> None:
        """There is."""

    async def check(self) -> None:
        """All is well."""

    async def workload(self) -> Workload:
        totals = [
            EndedTotal(UUID(int=1), "completed", 1, 3, 1.5),
            EndedTotal(UUID(int=1), "completed", None, 1, 9000.0),
            EndedTotal(UUID(int=1), "skipped", 0, 2, 0.0),
        ]
        return Workload(totals, [(UUID(int=1), "pending", 4), (UUID(int=1), "running", 2)], 1234)
