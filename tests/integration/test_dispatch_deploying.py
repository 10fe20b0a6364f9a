"""Uploading code and settings and reconciling manifests, over a real store."""

import pytest

from runtime.dispatch.configurations import seal_context
from runtime.dispatch.jobs import TriggerInput
from runtime.errors import ConflictError, InvalidError, NotFoundError
from runtime.store import packages
from runtime.store.database import Database
from tests.factories import make_raw_definition
from tests.house import REQUIREMENTS, House
from tests.package_factory import archive, manifest, members

CODE = {"shop.py": b"print('apples')\n", "data/prices.csv": b"apple,1\n"}
LOAD = make_raw_definition("jobs.shop.load")
CHECK = make_raw_definition("jobs.shop.check", triggers=["job.success:jobs.shop.load"])


async def test_the_same_content_makes_no_new_version(house: House) -> None:
    """Semantics J2."""
    assert await house.upload_code(CODE) == 1
    assert await house.upload_code(dict(reversed(CODE.items()))) == 1
    assert await house.upload_code({**CODE, "shop.py": b"print('pears')\n"}) == 2


async def test_other_requirements_make_a_new_version_of_the_same_code(house: House) -> None:
    await house.upload_code(CODE)
    assert await house.upload_code(CODE, {**REQUIREMENTS, "groups": {"main": ["duckdb"]}}) == 2


async def test_contents_are_stored_once_however_many_versions_hold_them(house: House) -> None:
    await house.upload_code(CODE)
    await house.upload_code({**CODE, "shop.py": b"print('pears')\n", "copy.csv": CODE["data/prices.csv"]})
    async with house.database.read() as connection:
        assert await connection.value("SELECT count(*) FROM blobs") == 3


async def test_a_deployment_comes_back_byte_for_byte(house: House) -> None:
    await house.upload_code(CODE)
    deployment = await house.deployments.latest(house.workspace_id)
    async with house.database.read() as connection:
        contents = {
            file.relative_path: content
            async for file, content in packages.deployment_contents(connection, deployment.id)
        }
    assert contents == CODE


async def test_an_archive_that_lies_is_refused_and_leaves_nothing(house: House) -> None:
    tree = dict(CODE)
    liar = archive([*members({**tree, "shop.py": b"something else\n"}), manifest(tree)])
    path = house.folder / "liar.tar.gz"
    path.write_bytes(liar)
    with pytest.raises(InvalidError, match=r"shop\.py"):
        await house.deployments.upload(house.principal, house.workspace_id, path, b'{"python_version": "3.11"}')
    with pytest.raises(NotFoundError):
        await house.deployments.latest(house.workspace_id)
    assert not list((house.folder / "scratch").iterdir())


@pytest.mark.parametrize("requirements", [b"not json", b"[]", b'{"python_version": 3}', b'{"engine_version": 9}'])
async def test_requirements_that_cannot_be_read_are_refused(house: House, requirements: bytes) -> None:
    path = house.folder / "code.tar.gz"
    path.write_bytes(archive([*members(CODE), manifest(CODE)]))
    with pytest.raises(InvalidError, match=r"requirements"):
        await house.deployments.upload(house.principal, house.workspace_id, path, requirements)


async def test_secrets_are_sealed_in_the_store_and_bound_to_their_place(house: House) -> None:
    await house.upload_settings({"config.toml": b"", "prod.secrets.toml": b"token = 'apple-pie'\n"})
    configuration = await house.configurations.latest(house.workspace_id)
    async with house.database.read() as connection:
        files = await packages.configuration_files(connection, configuration.id)
    (secrets,) = [item for item in files if item[0].relative_path == "prod.secrets.toml"]
    assert b"apple-pie" not in house.database.path.read_bytes()
    assert house.sealer.unseal(secrets[1], seal_context(configuration.id, secrets[0])) == b"token = 'apple-pie'\n"
    assert configuration.profiles == ("prod",)


async def test_a_configuration_holds_nothing_but_settings_and_secrets(house: House) -> None:
    with pytest.raises(InvalidError, match=r"evil\.py"):
        await house.upload_settings({"config.toml": b"", "evil.py": b""})


async def test_a_manifest_adds_updates_archives_and_brings_back(house: House) -> None:
    """Semantics J3."""
    added = await house.deploy(LOAD, CHECK)
    assert [job.job_ref for job in added.plan.added] == ["jobs.shop.load", "jobs.shop.check"]

    changed = await house.deploy({**LOAD, "description": "new"})
    assert [job.job_ref for job in changed.plan.updated] == ["jobs.shop.load"]
    assert changed.plan.archived == ("jobs.shop.check",)
    assert changed.previous["jobs.shop.load"].version == 1

    again = await house.deploy({**LOAD, "description": "new"}, CHECK)
    assert again.plan.unchanged == ("jobs.shop.load",)
    assert [job.job_ref for job in again.plan.updated] == ["jobs.shop.check"]
    revived = await house.jobs.get(house.workspace_id, "jobs.shop.check")
    assert revived.job.archived_at is None
    assert revived.job.version.version == 2


async def test_a_dry_run_plans_what_a_deploy_then_does_and_changes_nothing(house: House) -> None:
    """Semantics J3."""
    await house.deploy(LOAD)
    manifest = ({**LOAD, "description": "new"}, make_raw_definition("jobs.shop.report"))
    planned = await house.deploy(*manifest, dry_run=True)
    assert (await house.jobs.get(house.workspace_id, "jobs.shop.load")).job.version.version == 1
    done = await house.deploy(*manifest)
    assert planned.plan == done.plan
    assert planned.jobs.keys() == done.jobs.keys()


async def test_an_ad_hoc_deploy_archives_nothing_and_leaves_ownership_alone(house: House) -> None:
    """Semantics J3."""
    await house.deploy(LOAD, CHECK)
    ad_hoc = await house.deploy({**LOAD, "description": "by hand"}, module=None)
    assert ad_hoc.plan.archived == ()
    assert ad_hoc.jobs["jobs.shop.load"].version.deployment_module == "__deployment__"
    assert (await house.deploy()).plan.archived == ("jobs.shop.check", "jobs.shop.load")


async def test_only_the_workspace_module_describes_the_workspace(house: House) -> None:
    async def described() -> str | None:
        async with house.database.read() as connection:
            text: str | None = await connection.value("SELECT description FROM workspaces")
        return text

    await house.deploy(LOAD, module="other", description="not this")
    assert await described() is None
    await house.deploy(LOAD, description="A fruit shop")
    assert await described() == "A fruit shop"


async def test_an_unknown_dependency_group_is_a_warning_at_deploy(house: House) -> None:
    """Semantics J7."""
    await house.upload_code(CODE)
    deployed = await house.deploy({**LOAD, "require": {"dependency_groups": ["ibis"]}})
    assert "dependency group `ibis` is not declared" in deployed.plan.warnings[0]


async def test_an_unknown_manifest_engine_is_refused_in_words(house: House) -> None:
    """Semantics J5."""
    from runtime.dispatch.manifests import ManifestInput

    with pytest.raises(InvalidError, match=r"manifest engine 7"):
        await house.manifests.deploy(
            house.principal, house.workspace_id, ManifestInput(7, [LOAD], "__deployment__"), dry_run=False
        )


async def test_nothing_starts_before_code_and_configuration_are_there(house: House) -> None:
    await house.deploy(LOAD)
    with pytest.raises(ConflictError, match="no code yet"):
        await house.jobs.trigger(house.principal, house.workspace_id, TriggerInput(job_refs=["jobs.shop.load"]))


async def test_every_change_leaves_its_trace_in_the_audit_log(house: House, database: Database) -> None:
    await house.ready()
    run = await house.launch()
    await house.runs.cancel(house.principal, house.workspace_id, run.id)
    async with database.read() as connection:
        rows = await connection.all("SELECT action, user_id FROM audit_log ORDER BY id")
    assert [row["action"] for row in rows] == [
        "deployment.create",
        "configuration.create",
        "manifest.deploy",
        "job.trigger",
        "run.cancel",
    ]
    assert {row["user_id"] for row in rows} == {house.principal.user.id.bytes}
