"""`doctor` on this machine, over state directories as they should be and as they should not."""

import grp
import os
import pwd
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runtime import doctor
from runtime.dispatch.soundness import Soundness
from runtime.doctor import examine
from runtime.domain.checks import Check
from runtime.settings import RetentionSettings, Settings, TlsSettings
from runtime.store.database import Database
from runtime.store.integrity import DamagedError


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """A state directory with an empty database and two keys."""
    place = tmp_path / "state"
    (place / "keys").mkdir(parents=True)
    place.chmod(0o700)
    for name in ("sealing.key", "signing.key"):
        (place / "keys" / name).touch(0o600)
    await (await Database.open(place / "runtime.db")).close()
    return place


def settings_for(state: Path, **changes: object) -> Settings:
    return Settings.model_validate({"state_dir": state, "socket": state / "api.sock", **changes})


async def check_of(settings: Settings, name: str) -> Check:
    return next(check for check in await examine(settings) if check.name == name)


async def test_everything_is_looked_at(state: Path) -> None:
    """Doctor: each thing once, and whatever is not well says what mends it."""
    checks = await examine(settings_for(state), [])
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert {"kernel", "user namespaces", "bubblewrap", "pasta", "/dev/net/tun", "control groups", "limits of jobs"} <= {
        *names
    }
    assert {"uv", "Pythons for jobs", "disk of the state directory", "inodes of the state directory"} <= {*names}
    assert {"clock", "state directory", "keys", "database", "listener"} <= {*names}
    assert all(check.remedy for check in checks if check.state == "fail")


async def test_a_sound_state_directory_is_well(state: Path) -> None:
    found = {check.name: check.state for check in await examine(settings_for(state))}
    assert [found[name] for name in ("state directory", "keys", "database", "uv", "Pythons for jobs")] == ["ok"] * 5


async def test_there_need_not_be_a_state_directory_yet(tmp_path: Path) -> None:
    checks = await examine(settings_for(tmp_path / "none"))
    assert next(check for check in checks if check.name == "state directory").state == "warn"


@pytest.mark.parametrize(("place", "name"), [(".", "state directory"), ("keys/sealing.key", "keys")])
async def test_what_others_can_read_is_named(state: Path, place: str, name: str) -> None:
    (state / place).chmod(0o755)
    check = await check_of(settings_for(state), name)
    assert check.state == "fail"
    assert (check.remedy or "").startswith("chmod ")


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_socket_of_another_group_is_mended_by_joining_the_group_or_making_it(
    state: Path, is_there: bool
) -> None:
    (state / "api.sock").touch(0o660)
    group = next(one.gr_name for one in grp.getgrall() if one.gr_gid != (state / "api.sock").stat().st_gid)
    wanted = group if is_there else "no-such-group"
    check = await check_of(settings_for(state, auth={"admin_group": wanted}), "socket")
    me = pwd.getpwuid(os.geteuid()).pw_name
    first = f"sudo usermod -aG {wanted} {me}, log in again" if is_there else f"sudo groupadd {wanted} && "
    assert check.state == "warn"
    assert (check.remedy or "").startswith(first)


async def test_a_damaged_database_is_named_with_the_way_out(state: Path) -> None:
    path = state / "runtime.db"
    content = bytearray(path.read_bytes())
    content[4096 * 8 : 4096 * 40] = bytes([0xAA]) * (4096 * 32)
    path.write_bytes(content)
    check = await check_of(settings_for(state), "database")
    assert check.state == "fail"
    assert "dlt-runtime restore" in (check.remedy or "")


async def test_a_database_that_was_not_seen_as_a_whole_is_not_called_sound(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doctor: says what looks at the rest; the daemon's own look at it counts, whatever that found."""
    monkeypatch.setattr(doctor, "_CHECK_SECONDS", 0)
    with closing(sqlite3.connect(state / "runtime.db")) as connection:
        connection.execute("CREATE TABLE large (content TEXT)")
        connection.executemany("INSERT INTO large VALUES (?)", [("x" * 20,)] * 50_000)
        connection.commit()
    check = await check_of(settings_for(state), "database")
    assert (check.state, check.message.partition(":")[0]) == ("warn", "checked in part")
    assert "quick_check" in (check.remedy or "")
    database = await Database.open(state / "runtime.db", check_seconds=0)
    try:
        soundness = Soundness(database)
        assert "the daemon is looking at the rest" in (await look(state, soundness)).message
        await soundness.run()
        assert (await look(state, soundness)).state == "ok"
        soundness.fault = DamagedError("the database is damaged: a page", hint="dlt-runtime restore FILE")
        assert (await look(state, soundness)).state == "fail"
    finally:
        await database.close()


async def look(state: Path, soundness: Soundness) -> Check:
    """What a daemon says of its database."""
    return next(check for check in await examine(settings_for(state), [], soundness) if check.name == "database")


async def test_looking_changes_nothing(state: Path) -> None:
    """Doctor: also beside a daemon that writes."""
    before = sorted(entry.name for entry in state.iterdir())
    await examine(settings_for(state))
    assert sorted(entry.name for entry in state.iterdir()) == before
    database = await Database.open(state / "runtime.db")
    try:
        check = await check_of(settings_for(state), "database")
        async with database.transaction() as connection:
            await connection.execute("UPDATE log_totals SET lines = lines")
    finally:
        await database.close()
    assert check.state == "ok", check.message


async def test_a_disk_without_its_reserve_is_a_failure(state: Path) -> None:
    settings = settings_for(state, retention=RetentionSettings(free_bytes=2**60))
    check = await check_of(settings, "disk of the state directory")
    assert check.state == "fail"
    assert "retention" in (check.remedy or "")


async def test_a_listener_without_encryption_and_an_unreadable_certificate_are_named(state: Path) -> None:
    insecure = settings_for(state, listen="0.0.0.0:8470", tls=TlsSettings(insecure=True))
    assert (await check_of(insecure, "listener")).state == "warn"
    broken = settings_for(state, tls=TlsSettings(cert=state / "none.pem", key=state / "none.key"))
    assert (await check_of(broken, "certificate")).state == "fail"


async def test_jobs_in_the_machines_own_network_are_a_warning(state: Path) -> None:
    settings = settings_for(state, runs={"network": "host"})
    names = {check.name: check.state for check in await examine(settings)}
    assert "/dev/net/tun" not in names
    assert names["network of jobs"] == "warn"
    assert "pasta" not in names
