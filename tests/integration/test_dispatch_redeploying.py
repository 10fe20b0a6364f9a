"""Deploying an older version of the code again, and what is remembered for that."""

from typing import Any

import pytest

from runtime.domain.jobs import Job
from runtime.errors import ConflictError, InvalidError, NotFoundError
from runtime.store import jobs, packages
from runtime.store.manifests import forget_manifests
from tests.factories import make_raw_definition
from tests.house import House

OLD = {"shop.py": b"print('apples')\n"}
NEW = {"shop.py": b"print('pears')\n", "report.py": b"print('report')\n"}


def load(schedule: str) -> dict[str, Any]:
    return make_raw_definition("jobs.shop.load", triggers=[f"schedule:{schedule}"])


REPORT = make_raw_definition("jobs.shop.report", triggers=["job.success:jobs.shop.load"])


async def two_versions(house: House) -> None:
    """The second has other code, another schedule and one more job."""
    await house.upload_settings({"config.toml": b""})
    await house.upload_code(OLD)
    await house.deploy(load("0 6 * * *"), description="the first")
    await house.upload_code(NEW)
    await house.deploy(load("0 7 * * *"), REPORT, description="the second")


async def jobs_of(house: House) -> dict[str, Job]:
    async with house.database.read() as connection:
        return {job.job_ref: job for job in await jobs.all_jobs(connection, house.workspace_id)}


async def audited(house: House, action: str) -> list[str]:
    async with house.database.read() as connection:
        rows = await connection.all("SELECT detail FROM audit_log WHERE action = ?", (action,))
    return [row["detail"] for row in rows]


async def redeploy(house: House, which: str, *, dry_run: bool = False) -> Any:
    return await house.redeployment.redeploy(house.principal, house.workspace_id, which, dry_run=dry_run)


async def test_an_older_version_becomes_the_newest_with_its_code_and_its_jobs(house: House) -> None:
    """A new version, reconciled like any deploy: changed jobs change back, later jobs are archived, with an audit."""
    await two_versions(house)
    done = await redeploy(house, "1")
    assert done.deployment.version == 3
    first = await house.deployments.get(house.workspace_id, "1")
    newest = await house.deployments.latest(house.workspace_id)
    assert (newest.id, newest.content_hash) == (done.deployment.id, first.content_hash)
    assert newest.author == house.principal.user.email
    async with house.database.read() as connection:
        contents = {
            file.relative_path: held async for file, held in packages.deployment_contents(connection, newest.id)
        }
    assert contents == OLD
    now = await jobs_of(house)
    assert now["jobs.shop.load"].version.version == 3
    assert now["jobs.shop.load"].version.definition.declared_triggers == ("schedule:0 6 * * *",)
    assert now["jobs.shop.report"].archived_at is not None
    assert await audited(house, "deployment.redeploy") == ['{"of_version": 1, "version": 3}']


async def test_a_dry_run_says_what_would_change_and_changes_nothing(house: House) -> None:
    await two_versions(house)
    before = await jobs_of(house)
    plan = (await redeploy(house, "1", dry_run=True)).modules["__deployment__"].plan
    assert [definition.job_ref for definition in plan.updated] == ["jobs.shop.load"]
    assert list(plan.archived) == ["jobs.shop.report"]
    assert await jobs_of(house) == before
    assert (await house.deployments.latest(house.workspace_id)).version == 2


async def test_the_newest_version_is_deployed_again_without_a_new_one(house: House) -> None:
    """Semantics J2: the same content makes no new version; a job archived by hand comes back all the same."""
    await two_versions(house)
    await house.jobs.archive(house.principal, house.workspace_id, "jobs.shop.report")
    done = await redeploy(house, "2")
    assert done.deployment.version == 2
    assert (await jobs_of(house))["jobs.shop.report"].archived_at is None


async def test_a_version_has_the_jobs_that_stood_while_it_was_the_newest(house: House) -> None:
    """Code may change without a manifest, and the manifest again without the code."""
    await two_versions(house)
    await house.upload_code({"shop.py": b"print('plums')\n"})
    done = await redeploy(house, "3")
    assert [definition.job_ref for definition in done.modules["__deployment__"].plan.updated] == []
    await house.deploy(load("0 8 * * *"), REPORT)
    await redeploy(house, "1")
    await redeploy(house, "3")
    assert (await jobs_of(house))["jobs.shop.load"].version.definition.declared_triggers == ("schedule:0 8 * * *",)


async def test_jobs_of_a_later_module_stay_and_are_named(house: House) -> None:
    await two_versions(house)
    extra = make_raw_definition("jobs.extra.load")
    await house.upload_code({**NEW, "extra.py": b"print('extra')\n"})
    await house.deploy(extra, module="extra")
    done = await redeploy(house, "1")
    assert "`extra` stay as they are" in done.warnings[0]
    assert (await jobs_of(house))["jobs.extra.load"].archived_at is None


async def test_a_version_of_which_no_manifest_is_known_is_refused_with_the_way_out(house: House) -> None:
    """As of a store from before manifests were kept."""
    await two_versions(house)
    async with house.database.transaction() as connection:
        await connection.execute("DELETE FROM deployed_manifests")
    with pytest.raises(ConflictError, match="not known which jobs") as refused:
        await redeploy(house, "1")
    assert "dlt-runtime deploy" in str(refused.value.hint)
    with pytest.raises(NotFoundError) as caught:
        await redeploy(house, "7")
    assert "deployment list" in (caught.value.hint or "")
    assert (await house.deployments.latest(house.workspace_id)).version == 2


async def test_a_redeploy_that_is_refused_leaves_neither_version_nor_job(house: House) -> None:
    """The older jobs may not be acceptable any more; by then the new version is in the transaction already."""
    await two_versions(house)
    before = await jobs_of(house)
    async with house.database.transaction() as connection:
        await connection.execute("UPDATE deployed_manifests SET engine_version = 99 WHERE version = 1")
    with pytest.raises(InvalidError):
        await redeploy(house, "1")
    assert (await house.deployments.latest(house.workspace_id)).version == 2
    assert await jobs_of(house) == before


async def test_manifests_are_kept_once_and_go_with_the_last_version_that_came_with_them(house: House) -> None:
    async def kept() -> list[int]:
        async with house.database.read() as connection:
            return [row["version"] for row in await connection.all("SELECT version FROM deployed_manifests")]

    for number in range(4):
        await house.upload_code({"shop.py": f"print({number})\n".encode()})
        await house.deploy(load("0 6 * * *" if number < 2 else "0 7 * * *"))
    assert await kept() == [1, 3]
    async with house.database.transaction() as connection:
        await connection.execute("DELETE FROM manifest_deployments")
        await connection.execute("DELETE FROM deployments WHERE version = 1")
        await forget_manifests(connection)
    assert await kept() == [1, 3]
    async with house.database.transaction() as connection:
        await connection.execute("DELETE FROM deployments WHERE version = 2")
        await forget_manifests(connection)
    assert await kept() == [3]
