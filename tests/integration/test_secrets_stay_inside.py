"""The contents of configurations leave the daemon by no endpoint, and stand in no error, database or archive.

Names, sizes and hashes do leave: clients need them to see whether they have something new.
"""

import asyncio
import base64
import traceback
from pathlib import Path
from typing import Any, cast

import pytest
import structlog
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from runtime.api.app import create_app
from runtime.dispatch.workspaces import WorkspaceService
from runtime.domain.runs import Run
from runtime.errors import InvalidError, JobRuntimeError, StoreError
from runtime.packages.sealing import Sealer
from runtime.settings import Settings
from runtime.wire.addresses import API_PREFIX
from tests.api_client import ROOT, client_for, fake_services
from tests.house import House
from tests.package_factory import Tree, package

SECRET = "kingfisher-in-the-reeds-4711"
SETTING = "heron-on-the-bank-1174"
SETTINGS: Tree = {
    "config.toml": f"place = '{SETTING}'".encode(),
    "secrets.toml": f"[sources.shop]\npassword = '{SECRET}'".encode(),
    "prod.secrets.toml": f"password = '{SECRET}'".encode(),
}
SECONDS = 2


def assert_clean(what: str, content: bytes) -> None:
    for value in (SECRET, SETTING):
        forms = {value.encode(), value.encode().hex().encode(), value[::-1].encode()}
        forms |= {base64.b64encode(b"x" * shift + value.encode())[4:-4] for shift in range(3)}
        assert not any(form in content for form in forms), f"{what} gives a value of the configuration away"


@pytest.fixture
async def run(house: House) -> Run:
    """A run that has ended, in a workspace whose configuration holds a secret."""
    await house.ready()
    await house.upload_settings(SETTINGS)
    return await house.end(await house.launch(), "failed", reason="exit code 1: ***", exit_code=1)


@pytest.fixture
def app(house: House, tmp_path: Path) -> Litestar:
    """The whole API over the real use cases."""
    real = {name: value for name in fake_services().__dataclass_fields__ if (value := getattr(house, name, None))}
    services = fake_services(**{**real, "workspaces": WorkspaceService(house.database)})
    (tmp_path / "tmp").mkdir()
    return create_app(services, Settings(state_dir=tmp_path, socket=tmp_path / "api.sock"))


def reading_routes(app: Litestar) -> list[str]:
    return sorted(
        route.path
        for route in app.routes
        for handler in cast("list[Any]", getattr(route, "route_handlers", []))
        if isinstance(handler, HTTPRouteHandler) and "GET" in handler.http_methods
    )


def filled(path: str, known: dict[str, str]) -> str:
    """A path template with what its parameters may be."""
    return "/".join(known[part.strip("{}").split(":")[0]] if part.startswith("{") else part for part in path.split("/"))


async def test_no_endpoint_gives_a_value_of_a_configuration_away(house: House, run: Run, app: Litestar) -> None:
    known = {
        "workspace_id": str(run.workspace_id),
        "organization_id": str((await WorkspaceService(house.database).organization()).id),
        "run_id": str(run.id),
        "script_id_or_ref": run.job_ref,
        "configuration_id_or_version": str(run.configuration_id),
        "deployment_id_or_version": "1",
    }
    answered = 0
    async with client_for(app, peer=ROOT) as root:
        for path in reading_routes(app):
            names = {part.strip("{}").split(":")[0]: "1" for part in path.split("/") if part.startswith("{")}
            try:
                async with asyncio.timeout(SECONDS):
                    answer = await root.get(filled(path, {**names, **known}))
            except TimeoutError:
                continue  # a stream of what happens, and nothing does
            answered += answer.status_code == 200
            assert_clean(path, answer.content)
            assert_clean(path, repr(answer.headers.raw).encode())
    assert answered > 20, "most routes have been called as they should be"


async def test_files_are_told_of_by_name_size_and_hash_only(house: House, run: Run, app: Litestar) -> None:
    async with client_for(app, peer=ROOT) as root:
        url = f"{API_PREFIX}/v1/workspaces/{run.workspace_id}/configurations/latest/files"
        files = (await root.get(url)).json()["files"]
    assert [file["relative_path"] for file in files] == sorted(SETTINGS)
    assert {key for file in files for key in file} <= {"relative_path", "size_in_bytes", "sha3_256", "linkname"}


@pytest.mark.parametrize("damage", ["nothing", "cut", "no manifest", "not a package"])
async def test_what_an_upload_is_answered_with_repeats_none_of_it(
    run: Run, app: Litestar, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    archive = {
        "nothing": package(SETTINGS),
        "cut": package(SETTINGS)[:-20],
        "no manifest": package({"notes.txt": SECRET.encode()}),
        "not a package": SETTINGS["secrets.toml"],
    }[damage]
    with structlog.testing.capture_logs() as logged:
        async with client_for(app, peer=ROOT) as root:
            answer = await root.post(
                f"{API_PREFIX}/v1/workspaces/{run.workspace_id}/configurations",
                files={"file": ("configuration.tar.gz", cast("bytes", archive))},
            )
    assert answer.status_code == (201 if damage == "nothing" else 400), answer.text
    assert_clean("the answer", answer.content)
    assert_clean("the log", repr(logged).encode() + caplog.text.encode())


async def test_neither_database_nor_scratch_holds_a_value(house: House, run: Run) -> None:
    for file in house.folder.rglob("*"):
        if file.is_file() and file.name != "upload.tar.gz":  # the test's own
            assert_clean(str(file), file.read_bytes())


async def test_an_error_of_opening_shows_neither_content_nor_key(
    house: House, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = b"a key that nobody may see".ljust(32)
    monkeypatch.setattr(house.settings_files, "_sealer", Sealer(key))
    with pytest.raises(StoreError) as caught:
        await house.settings_files.visible_to(run)
    said = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
    assert_clean("the error", said.encode())
    assert key.decode().strip() not in said


@pytest.mark.parametrize("document", [f"password = {SECRET}", f"password = '{SECRET}", f"{SECRET}\n= 1"])
async def test_a_secrets_file_that_is_no_toml_is_masked_and_not_quoted(house: House, run: Run, document: str) -> None:
    await house.upload_settings({"secrets.toml": document.encode()})
    pinned = await house.configurations.latest(run.workspace_id)
    with structlog.testing.capture_logs() as logged:
        masker = await house.settings_files.masker(run.model_copy(update={"configuration_id": pinned.id}))
    assert SECRET not in masker.mask_text(f"toml: {document}")
    assert_clean("the log", repr(logged).encode())


async def test_a_refused_file_is_named_and_not_quoted(house: House, run: Run) -> None:
    with pytest.raises(InvalidError) as caught:
        await house.upload_settings({"secrets.toml": SECRET.encode(), "passwords.txt": SECRET.encode()})
    assert isinstance(caught.value, JobRuntimeError)
    assert "passwords.txt" in caught.value.message
    assert_clean("the error", repr(caught.value.__dict__).encode())
