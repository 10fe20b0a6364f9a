"""A workspace as it looks after some days of use, for those who look at it: the same every time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from runtime.dispatch.machine import MachineService, MachineView
from runtime.dispatch.settling import settle
from runtime.dispatch.space import Space
from runtime.domain.checks import Check, fail, ok, warn
from runtime.domain.identities import Principal
from runtime.domain.machines import Machine
from runtime.domain.pipelines import Column, Load, PipelineReport, Table
from runtime.domain.runs import Run, RunEnd
from runtime.store import environments, logs, runs
from runtime.store.environments import EnvironmentRecord
from tests.factories import NOW, make_raw_definition
from tests.house import House
from tests.served_estate import ServedEstate, serve_estate
from tests.tenants import Estate, Tenant, as_tenant

END = NOW + timedelta(days=1, minutes=25)
"""The moment at which the workspace is looked at."""

LONG_LOG = 1234
_TRACEBACK = (
    "Traceback (most recent call last):",
    '  File "shop.py", line 12, in load',
    "    response.raise_for_status()",
    "requests.exceptions.HTTPError: 503 Server Error: Service Unavailable",
)
_WELL = RunEnd(status="completed", exit_code=0)
_GIB = 1024**3
_ENVIRONMENT_KEY = "9f3c0a7be15d42c8a6b1e0f7d3952c4b8a617e0d"
_PACKAGES = ("certifi==2026.1.4", "dlt==1.26.0", "duckdb==1.4.2", "orjson==3.11.4", "requests==2.32.5")
_OLD_CODE = b"""import dlt


def load():
    pipeline = dlt.pipeline("shop", destination="duckdb")
    pipeline.run([{"fruit": "apple"}], table_name="products")
"""
_NEW_CODE = b"""import dlt
from dlt.sources.helpers import requests

URL = "https://shop.example.org/prices"


def load():
    pipeline = dlt.pipeline("shop", destination="warehouse", dataset_name="shop_data")
    response = requests.get(URL)
    response.raise_for_status()
    pipeline.run(response.json(), table_name="products", write_disposition="merge")
"""


class StandingMachine(MachineService):
    """Says the same every time."""

    def __init__(self) -> None:
        super().__init__(Space(Path("/"), 0), {})

    async def look(self) -> MachineView:
        sizes = [
            Machine(name="default", memory=6 * _GIB, tasks=2048, disk=10 * _GIB),
            Machine(name="large", memory=32 * _GIB, cpus=8, tasks=8192, disk=100 * _GIB),
            Machine(name="small", memory=_GIB // 2, cpus=0.5, tasks=256, disk=_GIB),
        ]
        return MachineView(
            memory=64 * _GIB,
            memory_available=41 * _GIB,
            disk=480 * _GIB,
            disk_free=123 * _GIB,
            disk_reserved=_GIB // 4,
            daemon_memory=113 * 1024**2,
            processors=16,
            sizes=sizes,
        )


async def _checks() -> Sequence[Check]:
    return [
        ok("kernel", "Linux 6.8, user namespaces are allowed"),
        ok("sandbox", "bubblewrap 0.9.0 starts a process"),
        warn(
            "control groups",
            "the daemon has no control group of its own, so limits are kept by looking at runs now and then",
            "start the daemon by its systemd unit, which asks for `Delegate=yes`",
        ),
        fail("Python 3.13", "uv finds none and may not download one", "uv python install 3.13"),
        ok("disk", "123 GiB are free below /var/lib/dlt-runtime"),
        ok("database", "sound, 412 MiB"),
    ]


@contextmanager
def serve_console() -> Iterator[ServedEstate]:
    """Serve the workspace on a machine about which everything is always the same."""
    targets = {
        "on-call": {"url": "json://127.0.0.1:1/", "events": ["failed", "recovered"], "tags": ["ingest"]},
        "team-mail": {"url": "mailto://127.0.0.1", "workspaces": ["workspace-anna"]},
    }
    with serve_estate(fill_console, checks=_checks, machine=StandingMachine(), notify={"targets": targets}) as served:
        yield served


async def fill_console(estate: Estate, tenant: Tenant) -> None:
    """Jobs of every kind, a day of runs with logs, versions, a pipeline."""
    house = as_tenant(estate.house, Principal(user=tenant.owner), tenant.workspace_id)
    logo = b"\x89PNG\r\n\x1a\n\0\0"
    await house.upload_code({"shop.py": _OLD_CODE, "report.py": b"print('report')\n", "logo.png": logo})
    await house.deploy(*_definitions()[:2])
    await house.upload_settings({"config.toml": b"[x]\n", "prod.secrets.toml": b"t = 'pear'\n", "dev.config.toml": b""})
    await house.upload_code({"shop.py": _NEW_CODE, "chart.py": b"print('chart')\n", "logo.png": logo})
    await house.deploy(*_definitions())
    await _remember_environment(house)
    await house.schedules.pause(house.principal, house.workspace_id, "jobs.shop.audit")
    await house.schedules.override(house.principal, house.workspace_id, "jobs.shop.stock", "every:30m")
    await _a_day(house)
    await house.deploy(*_definitions(description="Prices of the shop, in euro"))
    await _pipelines(house, estate)
    house.clock.now = END
    running = await house.launch("jobs.shop.stream")
    async with house.database.transaction() as connection:
        started = running.model_copy(update={"status": "running", "started_at": END - timedelta(minutes=4)})
        await runs.save_run(connection, started)
        await logs.append_lines(connection, running.id, "program", END, ["waiting for orders", "order 1", "order 2"])
    await house.launch("jobs.shop.report")
    # The clock of the house is the one that the application reads.
    estate.house.clock.now = END


async def _remember_environment(house: House) -> None:
    """The one that all runs of the day have shared."""
    record = EnvironmentRecord(
        workspace_id=house.workspace_id,
        request_digest="digest",
        key=_ENVIRONMENT_KEY,
        resolved=_PACKAGES,
        python="3.11.2",
        created_at=NOW,
        last_used_at=NOW,
    )
    async with house.database.transaction() as connection:
        await environments.add_environment(connection, record)


async def _a_day(house: House) -> None:
    """Every hour a load, now and then one that fails, and what follows those that do not."""
    for half in range(1, 49):
        house.clock.now = NOW + timedelta(minutes=30 * half)
        await house.tick()
        hour, minutes = half // 2, 0
        while waiting := [run for run in await house.all_runs() if run.status == "pending"]:
            for run in waiting:
                failed = run.job_ref == "jobs.shop.load" and hour in (3, 9, 21)
                pages = LONG_LOG if failed and hour == 21 else 5
                at = house.clock.now + timedelta(minutes=minutes)
                minutes += 2 + hour % 7
                await _let_run(house, run, at, minutes=2 + hour % 7, failed=failed, pages=pages)
    house.clock.now = NOW + timedelta(hours=23, minutes=50)
    unwanted = await house.launch("jobs.shop.audit")
    await house.runs.cancel(house.principal, house.workspace_id, unwanted.id)


async def _let_run(house: House, run: Run, at: datetime, *, minutes: int, failed: bool = False, pages: int = 5) -> None:
    async with house.database.transaction() as connection:
        await logs.append_lines(connection, run.id, "setup", at, ["environment found", "working copy laid"])
        lines = [f"INFO loading page {number}" for number in range(pages)]
        lines += ["WARNING page 3 is empty", *(_TRACEBACK if failed else ("done",))]
        await logs.append_lines(connection, run.id, "program", at, lines)
        started = run.model_copy(update={"status": "running", "started_at": at})
        await runs.save_run(connection, started)
        ended = RunEnd(status="failed", reason=_TRACEBACK[-1], exit_code=1) if failed else _WELL
        await environments.note_mounted(connection, run.id, _ENVIRONMENT_KEY)
        await settle(connection, started, ended, at + timedelta(minutes=minutes))


async def _pipelines(house: House, estate: Estate) -> None:
    """What pipelines have loaded in some runs; the newest load has brought a column, one has failed."""
    ended = [run for run in await house.all_runs() if run.job_ref in ("jobs.shop.load", "jobs.shop.stock")]
    async with house.database.transaction() as connection:
        for number, run in enumerate(reversed(ended)):
            assert run.started_at is not None
            failed = run.status == "failed"
            load = Load(
                transaction_id=f"load-{number}",
                status="failed" if failed else "succeeded",
                failed_step="extract" if failed else None,
                started_at=run.started_at,
                finished_at=run.ended_at,
                rows={} if failed else {"products": 120 + 7 * (number % 9), "prices": 480},
                schema_changes={"products": ("discount",)} if number == len(ended) - 1 else {},
            )
            report = PipelineReport(
                pipeline_name="shop" if run.job_ref == "jobs.shop.load" else "stock",
                dataset_name="shop_data",
                destination_name="warehouse",
                destination_type="duckdb",
                loads=(load,),
                tables=_TABLES,
            )
            await estate.services.insight.save(connection, run, [report])


def _column(name: str, data_type: str, **more: Any) -> Column:
    return Column(name=name, data_type=data_type, **more)


_TABLES = (
    Table(
        schema_name="shop",
        name="products",
        write_disposition="merge",
        columns=(
            _column("id", "bigint", primary_key=True, nullable=False),
            _column("name", "text", nullable=False),
            _column("price", "decimal"),
            _column("discount", "double"),
            _column("seen_at", "timestamp"),
        ),
    ),
    Table(
        schema_name="shop",
        name="products__labels",
        parent="products",
        columns=(_column("value", "text"), _column("_dlt_parent_id", "text", nullable=False)),
    ),
    Table(
        schema_name="shop",
        name="prices",
        write_disposition="append",
        columns=(_column("product_id", "bigint"), _column("amount", "decimal")),
    ),
    Table(schema_name="shop", name="_dlt_loads", columns=(_column("load_id", "text", nullable=False),)),
)


def _definitions(description: str = "Prices of the shop") -> list[dict[str, Any]]:
    many = {"concurrency": None}
    return [
        make_raw_definition(
            "jobs.shop.load",
            triggers=["schedule:0 * * * *"],
            execute=many,
            description=description,
            expose={"starred": True, "tags": ["ingest", "shop"], "display_name": "Load the shop"},
        ),
        make_raw_definition("jobs.shop.report", triggers=["job.success:jobs.shop.load"], execute=many),
        make_raw_definition("jobs.shop.stock", triggers=["schedule:30 */6 * * *"], execute=many),
        make_raw_definition(
            "jobs.shop.digest", triggers=["schedule:30 21 * * *"], freshness=["job.is_fresh:jobs.shop.load"]
        ),
        make_raw_definition("jobs.shop.alarm", triggers=["job.fail:jobs.shop.load"]),
        make_raw_definition("jobs.shop.audit", triggers=["schedule:0 6 * * 1"], expose={"tags": ["ingest"]}),
        make_raw_definition("jobs.shop.orders", triggers=["webhook:orders"]),
        make_raw_definition("jobs.shop.stream", job_type="stream"),
        make_raw_definition("jobs.shop.board", job_type="interactive", triggers=["http:"]),
    ]
