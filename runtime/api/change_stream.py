"""Changes of a workspace as server-sent events."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence

from runtime.api import render
from runtime.api.sse import ENCODER, pump
from runtime.dispatch.feed import Update
from runtime.dispatch.jobs import JobView
from runtime.dispatch.runs import RunView
from runtime.domain.apps import AppAddresses
from runtime.domain.identities import Workspace
from runtime.domain.packages import Configuration, Deployment
from runtime.store.changes import ChangeKind
from runtime.wire.events import ChangeEvent, EventKind

_KINDS: dict[ChangeKind, EventKind] = {
    "workspace": "workspace",
    "deployment": "deployment",
    "configuration": "configuration",
    "job": "script",
    "run": "run",
}
_RETRY_MILLISECONDS = 2000


async def changes(
    updates: AsyncIterator[Sequence[Update]], position: int, addresses: AppAddresses, lifetime_seconds: float
) -> AsyncGenerator[bytes, None]:
    """Server-sent events: where the stream begins, then one for each change; `id` is the place to go on from."""

    def encode(batch: Sequence[Update]) -> Iterator[bytes]:
        for update in batch:
            yield _event(update, addresses)

    yield f"retry: {_RETRY_MILLISECONDS}\nevent: position\nid: {position}\ndata: {{}}\n\n".encode("ascii")
    async for piece in pump(updates, encode, lifetime_seconds=lifetime_seconds):
        yield piece


def _event(update: Update, addresses: AppAddresses) -> bytes:
    data = ENCODER.encode(_wire(update, addresses).to_wire())
    return f"event: {_KINDS[update.change.kind]}\nid: {update.change.seq}\ndata: {data}\n\n".encode("ascii")


def _wire(update: Update, addresses: AppAddresses) -> ChangeEvent:
    kind, subject_id = _KINDS[update.change.kind], update.change.subject_id
    match update.subject:
        case RunView() as view:
            return ChangeEvent(kind=kind, id=subject_id, run=render.detailed_run(view))
        case JobView() as view:
            return ChangeEvent(kind=kind, id=subject_id, script=render.detailed_script(view, addresses))
        case Deployment() as item:
            return ChangeEvent(kind=kind, id=subject_id, deployment=render.deployment(item))
        case Configuration() as item:
            return ChangeEvent(kind=kind, id=subject_id, configuration=render.configuration(item))
        case Workspace() as item:
            return ChangeEvent(kind=kind, id=subject_id, workspace=render.workspace(item))
        case None:
            return ChangeEvent(kind=kind, id=subject_id, deleted=True)
