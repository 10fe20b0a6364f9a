"""People, workspaces, their roles, the audit trail, and remembered environments in the store."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from runtime.errors import StoreError
from runtime.store import audit, environments, identities, workspaces
from runtime.store.database import Connection, Database
from runtime.store.environments import EnvironmentRecord
from tests.factories import NOW, make_user, make_workspace
from tests.stored import store_world

LATER = NOW + timedelta(hours=1)


async def test_a_user_is_found_by_any_name_it_has(database: Database) -> None:
    """Identity: by id, by email in any case, by operating-system account."""
    ada, root = make_user("Ada@Example.org"), make_user("root@localhost", local_uid=0, disabled_at=NOW)
    async with database.transaction() as connection:
        for user in (root, ada):
            await identities.add_user(connection, user)
        assert await identities.find_user(connection, ada.id) == ada
        assert await identities.find_user_by_email(connection, "ada@example.ORG") == ada
        assert await identities.find_user_by_uid(connection, 0) == root
        assert await identities.find_user_by_uid(connection, 1) is None
        assert await identities.all_users(connection) == [ada, root]


@pytest.mark.parametrize("other", [make_user("ADA@example.org"), make_user("bob@example.org", local_uid=1000)])
async def test_an_email_and_an_account_are_one_persons(database: Database, other: Any) -> None:
    """Identity: whatever the case of the email."""
    async with database.transaction() as connection:
        await identities.add_user(connection, make_user("ada@example.org", local_uid=1000))
    with pytest.raises(StoreError, match="UNIQUE"):
        async with database.transaction() as connection:
            await identities.add_user(connection, other)


async def test_a_member_has_one_role_of_those_there_are(database: Database) -> None:
    """Identity: owner or viewer."""
    world = await store_world(database)
    await add_member(database, world.workspace.id, world.user.id, "viewer")
    async with database.read() as connection:
        assert await workspaces.find_role(connection, world.workspace.id, world.user.id) == "viewer"
        assert await workspaces.find_role(connection, uuid4(), world.user.id) is None
        assert await workspaces.workspaces_of_user(connection, world.user.id) == [(world.workspace, "viewer")]
    for user_id, role, why in (
        (world.user.id, "owner", "UNIQUE"),
        (uuid4(), "owner", "FOREIGN KEY"),
        (uuid4(), "king", "CHECK"),
    ):
        with pytest.raises(StoreError, match=why):
            await add_member(database, world.workspace.id, user_id, role)


async def add_member(database: Database, workspace_id: Any, user_id: Any, role: Any) -> None:
    async with database.transaction() as connection:
        await workspaces.add_member(connection, workspace_id, user_id, role, NOW)


async def test_a_workspace_changes_name_and_description(database: Database) -> None:
    """Identity: an unchanged description is no change."""
    workspace = make_workspace()
    async with database.transaction() as connection:
        await workspaces.add_workspace(connection, workspace)
        await workspaces.set_description(connection, workspace.id, "Fruit 🍎", LATER)
        described = workspace.model_copy(update={"description": "Fruit 🍎", "updated_at": LATER})
        assert await workspaces.find_workspace(connection, workspace.id) == described
        await workspaces.set_description(connection, workspace.id, "Fruit 🍎", LATER + timedelta(hours=1))
        assert await workspaces.find_workspace(connection, workspace.id) == described
        renamed = described.model_copy(update={"name": "orchard", "description": None})
        await workspaces.save_workspace(connection, renamed)
        assert await workspaces.all_workspaces(connection) == [renamed]


async def test_the_trail_says_who_did_what(database: Database) -> None:
    """Audit: in the transaction of the change, so neither is there without the other."""
    world = await store_world(database)

    async def deploy(connection: Connection) -> None:
        await audit.record(
            connection,
            at=NOW,
            user_id=world.user.id,
            workspace_id=world.workspace.id,
            action="deployment.create",
            subject="x",
            detail={"version": 1, "id": world.deployment.id},
        )

    async def deploy_and_fail() -> None:
        async with database.transaction() as connection:
            await deploy(connection)
            raise LookupError

    with pytest.raises(LookupError):
        await deploy_and_fail()
    async with database.transaction() as connection:
        await deploy(connection)
        await audit.record(connection, at=LATER, user_id=None, action="daemon.start")
    async with database.read() as connection:
        rows = await connection.all("SELECT user_id, action, detail FROM audit_log ORDER BY id")
    assert [row["action"] for row in rows] == ["deployment.create", "daemon.start"]
    assert rows[0]["user_id"] == world.user.id.bytes
    assert rows[0]["detail"] == f'{{"id": "{world.deployment.id}", "version": 1}}'
    assert rows[1]["user_id"] is None


async def test_the_first_resolution_of_a_request_stays(database: Database) -> None:
    """Semantics J7: runs of a job do not drift, and a workspace does not see another's."""
    world, other = await store_world(database, "one"), await store_world(database, "other")
    record = EnvironmentRecord(
        workspace_id=world.workspace.id,
        request_digest="digest",
        key="key",
        resolved=("dlt==1.26.0",),
        python="3.12.3",
        created_at=NOW,
        last_used_at=NOW,
    )
    async with database.transaction() as connection:
        await environments.add_environment(connection, record)
        await environments.add_environment(connection, record.model_copy(update={"key": "later"}))
        await environments.touch_environment(connection, world.workspace.id, "digest", LATER)
        found = await environments.find_environment(connection, world.workspace.id, "digest")
        assert found == record.model_copy(update={"last_used_at": LATER})
        assert await environments.find_environment(connection, other.workspace.id, "digest") is None


@pytest.mark.parametrize("statement", ["UPDATE users SET created_at = 'noon'", "UPDATE users SET email = NULL"])
async def test_columns_hold_only_what_they_are_for(database: Database, statement: str) -> None:
    """Store: strict tables."""
    await store_world(database)
    with pytest.raises(StoreError):
        async with database.transaction() as connection:
            await connection.execute(statement)
