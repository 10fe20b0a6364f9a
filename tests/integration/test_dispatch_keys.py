"""The sealing key is replaced while configurations are in use, and nothing is lost wherever that breaks off."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
import structlog

from runtime.dispatch import keys as module
from runtime.dispatch.configurations import ConfigurationService, seal_context
from runtime.dispatch.keys import KeyService
from runtime.dispatch.settings_files import SettingsFiles
from runtime.doctor import _configurations
from runtime.errors import ConflictError, StoreError
from runtime.packages.key_files import SealingKeyFiles
from runtime.packages.sealing import Sealer
from runtime.settings import LimitSettings
from runtime.store import packages
from tests.factories import make_job, make_run
from tests.house import House
from tests.package_factory import names_in, package

SECONDS = 10
VERSIONS = 5
SECRET = b"password = 'hunter2-hunter2'"


class KilledError(Exception):
    """Takes the part of a daemon's sudden end."""


class Vault:
    """A house whose configurations are sealed with keys on the disk; `restarted` is the next daemon's."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.directory = house.folder / "keys"
        self.files = SealingKeyFiles(self.directory / "sealing.key", "sealing.key")
        self.sealer = Sealer(self.files.load().current)
        self.keys = KeyService(house.database, self.sealer, self.files, house.clock)
        house.configurations = ConfigurationService(
            house.database, house.folder / "scratch", LimitSettings(), self.sealer, house.clock
        )
        house.settings_files = SettingsFiles(house.database, self.sealer)

    async def restarted(self) -> "Vault":
        vault = Vault(self.house)
        await vault.keys.finish()
        return vault

    async def fill(self) -> None:
        for version in range(VERSIONS):
            await self.house.upload_settings({"secrets.toml": SECRET, "config.toml": b"version = %d" % version})

    async def headers(self) -> set[bytes]:
        """What the stored contents begin with: version and key id."""
        async with self.house.database.read() as connection:
            rows = await connection.all("SELECT DISTINCT substr(sealed, 1, 9) AS header FROM configuration_files")
        return {row["header"] for row in rows}

    async def check(self) -> None:
        """Everything is sealed with the one key there is, and opens."""
        assert names_in(self.directory) == ["sealing.key"]
        alone = Sealer(self.files.load().current)
        assert await self.headers() == {alone.header}
        files = SettingsFiles(self.house.database, alone)
        async with self.house.database.read() as connection:
            versions = (await packages.list_configurations(connection, self.house.workspace_id, 1000, 0)).items
        assert len(versions) >= VERSIONS
        for version in versions:
            opened = dict(await files.visible_to(make_run(make_job(), configuration_id=version.id)))
            assert opened.get("secrets.toml", SECRET) == SECRET


@pytest.fixture
async def vault(house: House, monkeypatch: pytest.MonkeyPatch) -> Vault:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    vault = Vault(house)
    await house.ready()
    await vault.fill()
    return vault


async def test_a_rotation_seals_everything_anew_and_forgets_the_old_key(vault: Vault) -> None:
    before, (header,) = vault.files.load().current, await vault.headers()
    done = await vault.keys.rotate(vault.house.principal)
    assert vault.files.load().current != before
    assert (done.resealed, done.unreadable) == (2 * (VERSIONS + 1), 0)
    assert header not in await vault.headers()
    assert done.key_id == vault.sealer.key_id == Sealer(vault.files.load().current).key_id
    await vault.check()
    await (await vault.restarted()).check()


async def test_a_rotation_is_in_the_audit_trail_and_the_key_is_not(vault: Vault) -> None:
    done = await vault.keys.rotate(vault.house.principal)
    async with vault.house.database.read() as connection:
        row = await connection.one("SELECT * FROM audit_log WHERE action = 'keys.rotate'")
    assert row is not None
    assert (row["subject"], row["user_id"]) == (done.key_id, vault.house.principal.user.id.bytes)
    assert vault.files.load().current.hex() not in repr(dict(row))


async def test_a_content_read_before_the_rotation_opens_after_it(vault: Vault) -> None:
    run = await vault.house.launch()
    async with vault.house.database.read() as connection:
        (_, (file, sealed)) = await packages.configuration_files(connection, run.configuration_id)
        await vault.keys.rotate(vault.house.principal)
    assert vault.sealer.unseal(sealed, seal_context(run.configuration_id, file)) == SECRET


async def test_uploads_go_on_during_a_rotation_and_none_is_sealed_with_the_old_key(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH_BYTES", 1)  # a transaction for each content, and uploads in between

    async def upload(number: int) -> None:
        archive = vault.house.folder / f"upload-{number}.tar.gz"
        archive.write_bytes(package({"secrets.toml": SECRET, "config.toml": b"upload = %d" % number}))
        await vault.house.configurations.upload(vault.house.principal, vault.house.workspace_id, archive)

    await asyncio.gather(
        *(upload(number) for number in range(5)),
        vault.keys.rotate(vault.house.principal),
        *(upload(number) for number in range(5, 10)),
        vault.keys.rotate(vault.house.principal),
    )
    await vault.check()


async def test_a_rotation_waits_for_what_has_been_sealed_and_is_not_stored_yet(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the old key would be forgotten just before a content arrives that needs it."""
    sealed, may_store = threading.Event(), threading.Event()
    original = Sealer.seal

    def seal(sealer: Sealer, content: bytes, context: bytes) -> bytes:
        done = original(sealer, content, context)
        sealed.set()
        may_store.wait(SECONDS)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Sealer, "seal", seal)
        uploading = asyncio.create_task(vault.house.upload_settings({"secrets.toml": SECRET}))
        assert await asyncio.to_thread(sealed.wait, SECONDS)
    rotating = asyncio.create_task(vault.keys.rotate(vault.house.principal))
    await asyncio.wait({rotating}, timeout=0.2)  # far more than it takes
    assert not rotating.done()
    may_store.set()
    await asyncio.gather(uploading, rotating)
    await vault.check()


@pytest.mark.parametrize(
    ("where", "name"),
    [(packages, "replace_sealed"), (packages, "not_sealed_with"), (SealingKeyFiles, "end_rotation")],
    ids=["sealing anew", "looking for what is left", "forgetting the old key"],
)
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("time", [1, 2, 5])
async def test_the_next_daemon_ends_a_rotation_wherever_it_broke_off(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, is_done: bool, time: int
) -> None:
    monkeypatch.setattr(module, "_BATCH_BYTES", 1)
    original, calls = getattr(where, name), 0

    def killing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == time and not is_done:
            raise KilledError
        done = original(*arguments)
        if calls == time and not asyncio.iscoroutine(done):
            raise KilledError
        return _killed_after(done) if calls == time else done

    with monkeypatch.context() as patch:
        patch.setattr(where, name, killing)
        with contextlib.suppress(KilledError):
            await vault.keys.rotate(vault.house.principal)
    after = await vault.restarted()
    await after.check()
    await after.keys.rotate(vault.house.principal)
    await after.check()


async def _killed_after(work: Awaitable[Any]) -> None:
    await work
    raise KilledError


async def test_a_daemon_that_goes_on_ends_a_broken_rotation_before_the_next(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(packages, "replace_sealed", lambda *_: _killed_after(asyncio.sleep(0)))
        with pytest.raises(KilledError):
            await vault.keys.rotate(vault.house.principal)
    assert names_in(vault.directory) == ["sealing.key", "sealing.key.old"]
    await vault.house.upload_settings({"secrets.toml": SECRET, "config.toml": b"in between = 1"})
    await vault.keys.rotate(vault.house.principal)
    await vault.check()


async def test_a_damaged_content_is_told_of_and_left_while_all_others_are_sealed_anew(vault: Vault) -> None:
    async with vault.house.database.transaction() as connection:
        place, *_ = await packages.not_sealed_with(connection, b"another key")
        found = await packages.sealed_file(connection, place)
        assert found is not None
        await packages.replace_sealed(connection, place, found[1][:-1])
    with structlog.testing.capture_logs() as logged:
        done = await vault.keys.rotate(vault.house.principal)
    assert done.unreadable == 1
    assert done.resealed == 2 * (VERSIONS + 1) - 1
    (warning,) = (event for event in logged if event["log_level"] == "warning")
    assert warning["path"] == place.relative_path
    assert names_in(vault.directory) == ["sealing.key"]


async def test_a_key_of_systemd_is_not_replaced_and_everything_stays_as_it_is(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (vault.directory / "sealing.key").rename(credentials / "sealing.key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    headers = await vault.headers()
    with pytest.raises(ConflictError, match="systemd credential"):
        await vault.keys.rotate(vault.house.principal)
    assert await vault.headers() == headers
    assert names_in(vault.directory) == []


async def test_a_new_credential_beside_the_old_one_is_taken_up_at_the_start(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way out for keys that the daemon cannot replace itself."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (vault.directory / "sealing.key").rename(credentials / "sealing.key.old")
    (credentials / "sealing.key").write_bytes(bytes(range(32)))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    await vault.restarted()
    assert await vault.headers() == {Sealer(bytes(range(32))).header}


async def bereft(vault: Vault) -> Vault:
    """The next daemon, after the key was lost."""
    (vault.directory / "sealing.key").unlink()
    return await vault.restarted()


async def test_after_the_key_is_lost_the_same_configuration_can_be_uploaded_again(vault: Vault) -> None:
    """J2: equal content makes no new version, unless nothing opens the newest."""
    house, tree = vault.house, {"prod.secrets.toml": SECRET}
    await house.upload_settings(tree)
    before = await house.configurations.latest(house.workspace_id)
    await bereft(vault)
    shown = await house.configurations.latest(house.workspace_id)
    assert shown.content_hash not in (before.content_hash, None)  # so that clients upload
    version = await house.upload_settings(tree)
    assert version == before.version + 1
    newest = await house.configurations.latest(house.workspace_id)
    assert newest.content_hash == before.content_hash
    assert await house.upload_settings(tree) == version
    run = await house.launch()
    assert dict(await house.settings_files.visible_to(run))["prod.secrets.toml"] == SECRET


async def test_a_run_whose_key_is_lost_says_what_to_do(vault: Vault) -> None:
    await vault.house.upload_settings({"prod.secrets.toml": SECRET})
    run = await vault.house.launch()
    await bereft(vault)
    with pytest.raises(StoreError, match="configuration sync"):
        await vault.house.settings_files.visible_to(run)


async def test_a_daemon_that_starts_without_the_key_says_so_and_so_does_doctor(vault: Vault) -> None:
    assert (await _configurations(vault.keys)).state == "ok"
    with structlog.testing.capture_logs() as logged:
        after = await bereft(vault)
    (error,) = (event for event in logged if event["log_level"] == "error")
    assert "configuration sync" in error["hint"]
    assert error["workspaces"] == await after.keys.closed_workspaces()
    check = await _configurations(after.keys)
    assert (check.state, "sealing.key" in (check.remedy or "")) == ("fail", True)
    await vault.house.upload_settings({"secrets.toml": b"new = 1"})
    assert (await _configurations(after.keys)).state == "ok"
