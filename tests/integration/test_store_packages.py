"""Deployments and configurations in the store (semantics J2)."""

import os
from uuid import uuid4

import pytest

from runtime.domain.packages import PackageFile, content_digest
from runtime.errors import StoreError
from runtime.store import packages
from runtime.store.database import Connection, Database
from tests.factories import make_configuration, make_deployment, make_file, make_requirements
from tests.stored import store_world

REQUIREMENTS = '{"engine_version": 1, "python_version": "3.12", "groups": {"main": []}}'
CONTENTS = {"a.py": b"", "b/ü 🍎.py": "ü".encode() * 5000, "binary": os.urandom(100_000), "copy.py": b""}


def files() -> list[PackageFile]:
    target = "b/ü 🍎.py"
    link = PackageFile(relative_path="z", size_bytes=0, sha3_256=content_digest(target.encode()), linkname=target)
    return [*(make_file(path, content, mode=0o755) for path, content in CONTENTS.items()), link]


async def store_contents(connection: Connection, contents: dict[str, bytes]) -> None:
    await packages.add_blobs(
        connection, [(content_digest(content), packages.compress(content)) for content in contents.values()]
    )


async def test_a_deployment_comes_back_byte_by_byte(database: Database) -> None:
    """Semantics J2: paths, modes, links and contents; empty files and equal contents too."""
    world = await store_world(database)
    deployment = make_deployment(workspace_id=world.workspace.id, created_by=world.user.id, version=2)
    async with database.transaction() as connection:
        await store_contents(connection, CONTENTS)
        await packages.add_deployment(connection, deployment, REQUIREMENTS, files())
    async with database.read() as connection:
        assert await packages.deployment_files(connection, deployment.id) == sorted(
            files(), key=lambda file: file.relative_path
        )
        contents = {
            file.relative_path: content
            async for file, content in packages.deployment_contents(connection, deployment.id)
        }
        assert contents == {**CONTENTS, "z": None}
        assert await connection.value("SELECT count(*) FROM blobs") == 3


async def test_the_requirements_come_back_as_uploaded(database: Database) -> None:
    """Semantics J7."""
    world = await store_world(database)
    document = '{"engine_version": 1, "groups": {"main": ["duckdb>=1"]}, "python_version": "3.13", "x": "ü"}'
    async with database.transaction() as connection:
        deployment = make_deployment(workspace_id=world.workspace.id, created_by=world.user.id, version=2)
        await packages.add_deployment(connection, deployment, document, [])
        stored = await packages.latest_deployment(connection, world.workspace.id)
    assert stored is not None
    assert stored.requirements == make_requirements(groups={"main": ["duckdb>=1"]}, python_version="3.13")
    assert stored.requirements_size_bytes == len(document.encode())


async def test_the_latest_is_the_highest_version_of_the_workspace(database: Database) -> None:
    """Semantics J2, J4."""
    world, other = await store_world(database, "one"), await store_world(database, "other")
    owned = {"workspace_id": world.workspace.id, "created_by": world.user.id}
    async with database.transaction() as connection:
        for version in (3, 2):
            await packages.add_deployment(connection, make_deployment(**owned, version=version), REQUIREMENTS, [])
            await packages.add_configuration(connection, make_configuration(**owned, version=version), [])
    async with database.read() as connection:
        latest = await packages.latest_deployment(connection, world.workspace.id)
        settings = await packages.latest_configuration(connection, world.workspace.id)
        assert latest is not None
        assert settings is not None
        assert (latest.version, settings.version) == (3, 3)
        deployments = await packages.list_deployments(connection, world.workspace.id, limit=2, offset=0)
        configurations = await packages.list_configurations(connection, world.workspace.id, limit=2, offset=1)
        assert ([item.version for item in deployments.items], deployments.total) == ([3, 2], 3)
        assert ([item.version for item in configurations.items], configurations.total) == ([2, 1], 3)
        for which in (3, latest.id):
            assert await packages.find_deployment(connection, world.workspace.id, which) == latest
            assert await packages.find_deployment(connection, other.workspace.id, which) is None
        assert await packages.find_configuration(connection, world.workspace.id, settings.id) == settings
        assert await packages.find_configuration(connection, world.workspace.id, 9) is None
        assert await packages.latest_deployment(connection, uuid4()) is None


async def test_a_configuration_comes_back_sealed_as_it_went_in(database: Database) -> None:
    """Semantics J6: the store neither opens nor changes sealed content."""
    world = await store_world(database)
    configuration = make_configuration(
        workspace_id=world.workspace.id, created_by=world.user.id, version=2, profiles=("access", "früh", "prod")
    )
    sealed = [(make_file("prod.secrets.toml"), os.urandom(200)), (make_file("config.toml", b""), b"\x00")]
    async with database.transaction() as connection:
        await packages.add_configuration(connection, configuration, sealed)
    async with database.read() as connection:
        found = await packages.latest_configuration(connection, world.workspace.id)
        assert found == configuration.model_copy(update={"author": world.user.email})
        assert await packages.configuration_files(connection, configuration.id) == [sealed[1], sealed[0]]


async def test_only_contents_that_are_not_there_are_missing(database: Database) -> None:
    """Semantics J2: content is stored once, however often it is uploaded."""
    digests = {content_digest(content) for content in CONTENTS.values()}
    async with database.transaction() as connection:
        assert await packages.missing_blobs(connection, digests) == digests
        await store_contents(connection, {"a.py": b""})
        assert await packages.missing_blobs(connection, digests) == digests - {content_digest(b"")}
        await store_contents(connection, CONTENTS)
        assert await packages.missing_blobs(connection, digests) == set()
        assert await packages.missing_blobs(connection, []) == set()
        many = {content_digest(str(number).encode()) for number in range(40_000)}
        assert await packages.missing_blobs(connection, many) == many


async def test_contents_nobody_refers_to_can_be_dropped(database: Database) -> None:
    """Store: what an upload that never finished left behind."""
    world = await store_world(database)
    deployment = make_deployment(workspace_id=world.workspace.id, created_by=world.user.id, version=2)
    async with database.transaction() as connection:
        await store_contents(connection, {"kept": b"kept", "orphan": b"orphan"})
        await packages.add_deployment(connection, deployment, REQUIREMENTS, [make_file("kept", b"kept")])
        assert await packages.delete_orphan_blobs(connection) == 1
        assert await packages.missing_blobs(connection, [content_digest(b"kept")]) == set()
        assert await packages.delete_orphan_blobs(connection) == 0


async def test_a_version_is_given_once(database: Database) -> None:
    """Semantics J2: of two uploads at once the second cannot be the same version."""
    world = await store_world(database)
    owned = {"workspace_id": world.workspace.id, "created_by": world.user.id}
    with pytest.raises(StoreError, match="UNIQUE"):
        async with database.transaction() as connection:
            await packages.add_deployment(connection, make_deployment(**owned), REQUIREMENTS, [])
    with pytest.raises(StoreError, match="UNIQUE"):
        async with database.transaction() as connection:
            await packages.add_configuration(connection, make_configuration(**owned), [])


async def test_a_package_holds_a_path_once(database: Database) -> None:
    """Semantics J2."""
    world = await store_world(database)
    deployment = make_deployment(workspace_id=world.workspace.id, created_by=world.user.id, version=2)
    with pytest.raises(StoreError, match="UNIQUE"):
        async with database.transaction() as connection:
            await packages.add_deployment(connection, deployment, REQUIREMENTS, [make_file(), make_file()])
    async with database.read() as connection:
        assert await packages.find_deployment(connection, world.workspace.id, 2) is None
