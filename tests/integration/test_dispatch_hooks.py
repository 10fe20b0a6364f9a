"""Webhook tokens and calls, over a real store and without processes."""

from uuid import uuid4

import pytest

from runtime.dispatch.starting import Started
from runtime.errors import ConflictError, NotFoundError, UnauthenticatedError
from runtime.store import hooks as store
from tests.factories import make_raw_definition
from tests.house import House

REF = "jobs.shop.load"
ORDERS = make_raw_definition(triggers=["webhook:orders/new"])
BARE = make_raw_definition("jobs.shop.bare", triggers=["webhook:"])
HEADERS = [
    ("Content-Type", "application/json"),
    ("X-Event", "order"),
    ("X-Event", "paid"),
    ("Authorization", "Bearer secret"),
    ("X-Hook-Token", "secret"),
    ("Cookie", "session=secret"),
]


async def new_secret(house: House, ref: str = REF) -> str:
    return (await house.hooks.create(house.principal, house.workspace_id, ref)).secret


async def call(house: House, secret: str, path: str = "orders/new", body: bytes = b"{}") -> Started:
    return await house.hooks.call(str(house.workspace_id), path, secret, HEADERS, body)


async def payload_of(house: House, started: Started) -> store.Payload | None:
    assert started.run is not None
    async with house.database.read() as connection:
        return await store.find_payload(connection, started.run.id)


async def test_a_call_starts_the_job_with_what_was_posted(house: House) -> None:
    """Semantics T7."""
    await house.ready(ORDERS)
    body = bytes(range(256)) * 100
    started = await call(house, await new_secret(house), body=body)
    assert started.run is not None
    assert (started.run.status, started.run.trigger) == ("pending", "webhook:orders/new")
    payload = await payload_of(house, started)
    assert payload is not None
    assert payload.body == body
    assert payload.headers == {"content-type": "application/json", "x-event": "order, paid"}


async def test_an_empty_body_is_a_payload_too(house: House) -> None:
    """Semantics T7."""
    await house.ready(ORDERS)
    payload = await payload_of(house, await call(house, await new_secret(house), body=b""))
    assert payload is not None
    assert payload.body == b""


async def test_what_was_posted_is_forgotten_when_the_run_has_ended(house: House) -> None:
    """Semantics T7."""
    await house.ready(ORDERS)
    started = await call(house, await new_secret(house))
    assert started.run is not None
    await house.end(started.run)
    assert await payload_of(house, started) is None


async def test_what_was_posted_is_forgotten_when_the_run_is_cancelled_before_it_began(house: House) -> None:
    """Semantics T7, S2."""
    await house.ready(ORDERS)
    started = await call(house, await new_secret(house))
    assert started.run is not None
    await house.runs.cancel(house.principal, house.workspace_id, started.run.id)
    assert await payload_of(house, started) is None


async def test_a_call_that_cannot_start_the_job_is_a_skipped_run(house: House) -> None:
    """Semantics D5, D7."""
    await house.ready(ORDERS)
    secret = await new_secret(house)
    await call(house, secret)
    second = await call(house, secret)
    assert second.skip is not None
    assert second.skip.outcome == "skipped_concurrency_limit"
    assert [run.status for run in await house.all_runs()] == ["skipped", "pending"]
    assert await payload_of(house, second) is None


async def test_a_workspace_may_be_named_in_a_call(house: House) -> None:
    """Semantics T7."""
    await house.ready(ORDERS)
    started = await house.hooks.call("fruitshop", "orders/new/", await new_secret(house), [], b"")
    assert started.run is not None


async def test_a_webhook_without_a_path_answers_to_the_jobs_reference(house: House) -> None:
    """Semantics T7."""
    await house.ready(ORDERS, BARE)
    started = await call(house, await new_secret(house, "jobs.shop.bare"), "jobs.shop.bare")
    assert started.job.job_ref == "jobs.shop.bare"


@pytest.mark.parametrize(
    ("workspace", "path", "secret"),
    [
        ("fruitshop", "orders/new", "0" * 64),
        ("fruitshop", "orders/new", ""),
        ("fruitshop", "orders", None),
        ("elsewhere", "orders/new", None),
        ("fruitshop", "jobs.shop.bare", None),
    ],
)
async def test_every_other_call_gets_one_and_the_same_answer(
    house: House, workspace: str, path: str, secret: str | None
) -> None:
    """Semantics T7: nobody learns which workspaces, paths and jobs there are."""
    await house.ready(ORDERS, BARE)
    good = await new_secret(house)
    with pytest.raises(UnauthenticatedError, match="no hook opens with this token here"):
        await house.hooks.call(workspace, path, good if secret is None else secret, [], b"")
    assert await house.all_runs() == []


async def test_a_revoked_token_opens_nothing_and_others_still_do(house: House) -> None:
    """Semantics T7."""
    await house.ready(ORDERS)
    revoked = await house.hooks.create(house.principal, house.workspace_id, REF)
    other = await new_secret(house)
    for _ in range(2):
        await house.hooks.revoke(house.principal, house.workspace_id, REF, revoked.hook.token.id)
    with pytest.raises(UnauthenticatedError):
        await call(house, revoked.secret)
    assert (await call(house, other)).run is not None
    listed = await house.hooks.list(house.workspace_id, REF)
    assert sorted((one.token.used_at is not None, one.token.revoked_at is not None) for one in listed) == [
        (False, True),
        (True, False),
    ]


async def test_an_archived_job_is_not_started(house: House) -> None:
    """Semantics D1."""
    await house.ready(ORDERS)
    secret = await new_secret(house)
    await house.jobs.archive(house.principal, house.workspace_id, REF)
    with pytest.raises(ConflictError, match="archived"):
        await call(house, secret)


async def test_a_job_without_a_webhook_gets_no_token(house: House) -> None:
    await house.ready(make_raw_definition())
    with pytest.raises(ConflictError, match="no `webhook:` trigger"):
        await new_secret(house)


async def test_a_token_that_the_job_has_not_cannot_be_revoked(house: House) -> None:
    await house.ready(ORDERS)
    with pytest.raises(NotFoundError):
        await house.hooks.revoke(house.principal, house.workspace_id, REF, uuid4())


async def test_no_secret_is_stored(house: House) -> None:
    await house.ready(ORDERS)
    secret = await new_secret(house)
    await call(house, secret)
    async with house.database.read() as connection:
        rows = [*await connection.all("SELECT * FROM hook_tokens"), *await connection.all("SELECT * FROM audit_log")]
    assert not any(secret in str(value) or value == secret.encode() for row in rows for value in tuple(row))
