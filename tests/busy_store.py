"""A workspace in which one job runs three times a minute, so that whatever the others have done lies far back."""

from datetime import timedelta

from runtime.domain.identities import Principal
from runtime.domain.runs import Run
from runtime.store import runs
from runtime.store.columns import to_micros
from tests.console_store import END
from tests.factories import make_raw_definition
from tests.house import House
from tests.tenants import Estate, Tenant

BUSY_RUNS = 1_600
EVERY = timedelta(seconds=20)
DAILY_RUNS = 14
REASON = "the shop says 503"


async def fill_busy(estate: Estate, tenant: Tenant) -> None:
    """A stream that began a day ago, failures of some hours ago, a job that runs once a day, and the busy one."""
    house = object.__new__(House)
    house.__dict__.update(
        estate.house.__dict__, principal=Principal(user=tenant.owner), workspace_id=tenant.workspace_id
    )
    many = {"concurrency": None}
    names = ("busy", "stream", "broken", "daily", "idle")
    await house.ready(*(make_raw_definition(f"jobs.shop.{name}", execute=many) for name in names))
    for day in range(DAILY_RUNS, 0, -1):
        house.clock.now = END - timedelta(days=day, hours=3)
        await house.end(await house.launch("jobs.shop.daily"), "failed" if day == 2 else "completed")
    house.clock.now = END - timedelta(hours=23)
    stream = await house.launch("jobs.shop.stream")
    async with house.database.transaction() as connection:
        await runs.save_run(connection, stream.model_copy(update={"status": "running", "started_at": house.clock()}))
    for hours in (11, 10):
        house.clock.now = END - timedelta(hours=hours)
        await house.end(await house.launch("jobs.shop.broken"), "failed", reason=REASON, exit_code=1)
    house.clock.now = END - BUSY_RUNS * EVERY
    await _repeat(house, await house.end(await house.launch("jobs.shop.busy")), BUSY_RUNS - 1)
    estate.house.clock.now = house.clock.now = END


async def _repeat(house: House, run: Run, times: int) -> None:
    """More runs like one, written in bulk past the store's own functions: those take one at a time."""
    columns = """workspace_id, job_id, job_version_id, deployment_id, configuration_id, status, trigger, profile,
                 refresh, triggered_by, exit_code"""
    async with house.database.transaction() as connection:
        await connection.execute(
            f"""WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < :times)
                INSERT INTO runs (id, number, created_at, updated_at, started_at, ended_at, {columns})
                SELECT randomblob(16), number + n, created_at + n * :every, created_at + n * :every,
                       created_at + n * :every, created_at + n * :every + 5000000, {columns}
                FROM runs JOIN counted WHERE runs.id = :run""",
            {"times": times, "every": EVERY // timedelta(microseconds=1), "run": run.id.bytes},
        )
    assert to_micros(run.created_at + times * EVERY) <= to_micros(END)
