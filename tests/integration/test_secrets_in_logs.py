"""Secrets of a run's configuration do not reach its stored log, its stream or its reason, whoever watches the run."""

import asyncio
from uuid import UUID

import pytest

from runtime.dispatch.executor import Executor
from runtime.domain.masking import MASK, MOST_PATTERN_BYTES
from runtime.domain.runs import Run
from runtime.errors import StoreError, UnavailableError
from runtime.packages.sealing import Sealer
from tests.package_factory import Link, Tree
from tests.stage import SECONDS, Stage, launch_and_release

TOKEN, PROD, OTHER = "tok-1234567890", "prod-password", "other-password"
SETTINGS = {
    "config.toml": b'bucket = "public-bucket"',
    "secrets.toml": f"[sources.shop]\ntoken = '{TOKEN}'\npin = 24681357\nshort = 'abc'\nname = 'prod'".encode(),
    "prod.secrets.toml": f"password = '{PROD}'".encode(),
    "other.secrets.toml": f"password = '{OTHER}'".encode(),
}


async def end_with(stage: Stage, run: Run, output: bytes, exit_code: int = 0) -> tuple[Run, list[str]]:
    """Let the job write this and end; the run and its lines then."""
    write(stage, run.id, output)
    stage.runner.processes[run.id].exit_code.set_result(exit_code)
    done = await stage.until_final(run)
    return done, [line.content for line in await stage.house.lines(run.id) if line.phase == "program"]


def write(stage: Stage, run_id: UUID, output: bytes) -> None:
    with (stage.live_dir / f"{run_id}.log").open("ab") as log:
        log.write(output)


async def until_lines(stage: Stage, run: Run, count: int) -> list[str]:
    """The program's lines, as soon as so many have been streamed."""
    lines: list[str] = []
    async with asyncio.timeout(SECONDS):
        async for batch in stage.house.runs.follow(run.id):
            lines += [line.content for line in batch if line.phase == "program"]
            if len(lines) >= count:
                break
    return lines


async def test_what_the_run_may_see_is_masked_and_nothing_else(stage: Stage, executor: Executor) -> None:
    await stage.house.upload_settings(SETTINGS)
    run = await launch_and_release(stage)
    output = f"a {TOKEN} b {PROD} c 24681357\nd {OTHER} public-bucket abc prod\n".encode()
    _, lines = await end_with(stage, run, output)
    assert lines == [f"a {MASK} b {MASK} c {MASK}", f"d {OTHER} public-bucket abc prod"]


async def test_the_stream_is_as_masked_as_the_store(stage: Stage, executor: Executor) -> None:
    await stage.house.upload_settings(SETTINGS)
    run = await launch_and_release(stage)
    write(stage, run.id, f"token={TOKEN[:5]}".encode())
    write(stage, run.id, f"{TOKEN[5:]}\n".encode())
    assert await until_lines(stage, run, 1) == [f"token={MASK}"]
    await end_with(stage, run, b"")


async def test_a_secret_that_comes_in_two_halves_a_second_apart_is_masked(stage: Stage, executor: Executor) -> None:
    await stage.house.upload_settings(SETTINGS)
    run = await launch_and_release(stage)
    write(stage, run.id, f"Token: {TOKEN[:6]}".encode())
    assert await until_lines(stage, run, 1) == ["Token: "]  # after a second
    _, lines = await end_with(stage, run, f"{TOKEN[6:]} ok\n".encode())
    assert lines == ["Token: ", f"{MASK} ok"]


async def test_the_reason_of_a_failure_is_masked(stage: Stage, executor: Executor) -> None:
    """Semantics S6."""
    await stage.house.upload_settings(SETTINGS)
    run = await launch_and_release(stage)
    done, _ = await end_with(stage, run, f"Traceback\nLoginError: bad password {PROD}\n".encode(), exit_code=1)
    assert done.reason == f"exit code 1: LoginError: bad password {MASK}"


async def test_setup_lines_and_the_reason_of_a_failed_build_are_masked(stage: Stage, executor: Executor) -> None:
    """Semantics S5, S6."""
    await stage.house.upload_settings(SETTINGS)
    stage.preparation.error = UnavailableError(f"no access to index://{TOKEN}@host", hint=f"check {TOKEN}")
    done = await stage.until_final(await stage.house.launch())
    lines = [line.content for line in await stage.house.lines(done.id)]
    assert lines[-1] == f"no access to index://{MASK}@host (check {MASK})"
    assert done.reason == f"no access to index://{MASK}@host"


async def test_the_next_daemon_masks_on_where_the_last_one_stopped(stage: Stage) -> None:
    """The half that was held back is read again, with the values of the pinned configuration (semantics J4)."""
    await stage.house.upload_settings(SETTINGS)
    first = stage.executor()
    await first.start()
    run = await launch_and_release(stage)
    write(stage, run.id, f"{TOKEN} one\nhalf {PROD[:4]}".encode())
    assert await until_lines(stage, run, 2) == [f"{MASK} one", "half "]
    await first.close()
    await stage.house.upload_settings({"secrets.toml": b"token = 'a-newer-one'"})
    write(stage, run.id, f"{PROD[4:]} two\n".encode())

    second = stage.executor()
    await second.start()
    _, lines = await end_with(stage, run, f"{TOKEN} three a-newer-one\n".encode())
    assert lines == [f"{MASK} one", "half ", f"{MASK} two", f"{MASK} three a-newer-one"]
    await second.close()


async def test_a_daemon_that_cannot_open_the_secrets_shows_nothing_of_a_running_job(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.house.upload_settings(SETTINGS)
    first = stage.executor()
    await first.start()
    run = await launch_and_release(stage)
    await first.close()
    monkeypatch.setattr(stage.house.settings_files, "_sealer", Sealer(b"another key".ljust(32)))

    second = stage.executor()
    await second.start()
    done, lines = await end_with(stage, run, f"one\n{TOKEN}\n".encode(), exit_code=1)
    assert lines == [MASK, MASK]
    assert done.reason == f"exit code 1: {MASK}"
    setup = [line.content for line in await stage.house.lines(run.id) if line.phase == "setup"]
    assert setup[-1] == "the log of this run is withheld: its secrets cannot be read"
    await second.close()


async def test_a_run_whose_secrets_cannot_be_opened_is_not_started_and_says_why(
    stage: Stage, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Semantics S6."""
    monkeypatch.setattr(stage.house.settings_files, "_sealer", Sealer(b"another key".ljust(32)))
    done = await stage.until_final(await stage.house.launch())
    assert done.status == "failed"
    assert "configuration sync" in (done.reason or "")
    assert stage.runner.prepared == 0


async def test_secrets_too_many_to_be_masked_hide_the_log_and_it_says_so(stage: Stage, executor: Executor) -> None:
    await stage.house.upload_settings({"secrets.toml": b"# " + b"x" * MOST_PATTERN_BYTES + b"\nkey = 'value-1'"})
    run = await launch_and_release(stage)
    _, lines = await end_with(stage, run, b"anything\n")
    assert lines == [MASK]
    first = (await stage.house.lines(run.id))[0]
    assert "withheld: the secrets files are larger" in first.content


async def test_a_secret_that_a_link_leads_to_is_masked_too(stage: Stage, executor: Executor) -> None:
    """Semantics J6: the run sees what the link leads to, though not the file itself."""
    settings: Tree = {"team.secrets.toml": f"x = '{TOKEN}'".encode(), "prod.config.toml": Link("team.secrets.toml")}
    await stage.house.upload_settings(settings)
    run = await launch_and_release(stage)
    _, lines = await end_with(stage, run, f"{TOKEN}\n".encode())
    assert lines == [MASK]


async def test_a_sealed_file_opens_in_its_own_place_only(stage: Stage) -> None:
    """Whoever can write to the database cannot give a run another profile's secrets."""
    await stage.house.upload_settings(SETTINGS)
    run = await stage.house.launch()
    async with stage.house.database.transaction() as connection:
        await connection.execute("DELETE FROM configuration_files WHERE relative_path = 'prod.secrets.toml'")
        await connection.execute(
            "UPDATE configuration_files SET relative_path = 'prod.secrets.toml' WHERE relative_path = ?",
            ("other.secrets.toml",),
        )
    with pytest.raises(StoreError, match="was moved"):
        await stage.house.settings_files.visible_to(run)
