"""Environments built for real: uv in bubblewrap, packages made on the spot, no index and no network."""

import asyncio
import shutil
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest

from runtime.environments.pythons import Pythons
from runtime.errors import InvalidError, UnavailableError
from runtime.store.columns import from_micros
from runtime.store.environments import find_environment
from tests.environment_builds import NOON, House, holds, make_sdist, make_wheel, open_house, python_says, wanting

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


class TestBuilding:
    async def test_an_environment_holds_what_was_asked_for_and_what_that_needs(self, house: House) -> None:
        """semantics J7"""
        make_wheel(house.packages, "apple", "1.0", requires=("pear>=1",))
        make_wheel(house.packages, "apple", "2.0", requires=("pear>=1",))
        make_wheel(house.packages, "pear", "1.5")
        workspace_id = await house.workspace()
        environment = await house.builder().ensure(workspace_id, wanting("apple<2"), house.lines.append)
        said = await python_says(house, environment, "import apple, pear; print(apple.VERSION, pear.VERSION)")
        assert said == ["1.0 1.5"]
        assert house.leftovers() == [environment.key]
        assert " + apple==1.0" in house.lines
        assert house.lines[-1].startswith("Environment ready after ")

    async def test_console_scripts_and_bytecode_know_only_the_path_jobs_see(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        environment = await house.builder().ensure(await house.workspace(), wanting("apple"), house.lines.append)
        assert await python_says(house, environment, "", "/venv/bin/apple") == ["1.0"]
        assert (environment.path / "bin" / "apple").read_text().startswith("#!/venv/bin/python")
        code = "import apple; print(apple.__cached__); print(apple.main.__code__.co_filename)"
        cached, source = await python_says(house, environment, code)
        assert source.startswith("/venv/lib/")
        written = environment.path / Path(cached).relative_to("/venv")
        assert written.is_file()
        assert str(house.root).encode() not in written.read_bytes()

    async def test_files_are_hard_links_of_the_workspaces_cache(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        environment = await house.builder().ensure(await house.workspace(), wanting("apple"), house.lines.append)
        (module,) = environment.path.glob("lib/python*/site-packages/apple.py")
        assert module.stat().st_nlink > 1

    async def test_no_requirements_make_an_empty_environment(self, house: House) -> None:
        environment = await house.builder().ensure(await house.workspace(), wanting(), house.lines.append)
        assert await python_says(house, environment, "import sys; print(sys.prefix)") == ["/venv"]

    async def test_an_interpreter_outside_usr_is_shown_with_its_own_prefix_and_nothing_beside_it(
        self, house: House
    ) -> None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        binary, library = Path(f"/usr/bin/python{version}"), Path(f"/usr/lib/python{version}")
        if not binary.exists() or not library.exists():
            pytest.skip(f"there is no Python {version} of the system's to copy")
        prefix = house.root / "somebody" / "python"
        (prefix / "bin").mkdir(parents=True)
        shutil.copy(binary, prefix / "bin")
        shutil.copytree(
            library, prefix / "lib" / library.name, symlinks=True, ignore=shutil.ignore_patterns("test", "__pycache__")
        )
        (house.root / "somebody" / "diary").write_text("private")
        make_wheel(house.packages, "apple", "1.0")
        pythons = Pythons([prefix / "bin"], environ={})
        builder = house.builder(pythons=pythons)
        environment = await builder.ensure(await house.workspace(), wanting("apple"), house.lines.append)
        assert environment.base_prefix == prefix
        code = f"import apple, os, sys; print(sys.base_prefix); print(os.listdir({str(prefix.parent)!r}))"
        assert await python_says(house, environment, code) == [str(prefix), "['python']"]


class TestSharing:
    async def test_many_who_want_it_at_once_get_one_build_and_all_its_lines(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        workspace_id, builder = await house.workspace(), house.builder()
        reports: list[list[str]] = [[] for _ in range(10)]
        environments = await asyncio.gather(
            *(builder.ensure(workspace_id, wanting("apple"), report.append) for report in reports)
        )
        assert len({environment.path for environment in environments}) == 1
        assert reports[0].count(" + apple==1.0") == 1
        assert all(report == reports[0] for report in reports)

    async def test_the_second_time_nothing_is_built_and_nothing_said(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        workspace_id = await house.workspace()
        first = await house.builder().ensure(workspace_id, wanting("apple"), house.lines.append)
        house.lines.clear()
        assert await house.builder().ensure(workspace_id, wanting("apple"), house.lines.append) == first
        assert house.lines == []

    async def test_a_newer_release_does_not_change_what_a_request_resolved_to(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        workspace_id, builder = await house.workspace(), house.builder()
        first = await builder.ensure(workspace_id, wanting("apple"), house.lines.append)
        make_wheel(house.packages, "apple", "2.0")
        shutil.rmtree(first.path)
        again = await builder.ensure(workspace_id, wanting("apple"), house.lines.append)
        assert again == first
        assert await python_says(house, again, "import apple; print(apple.VERSION)") == ["1.0"]

    async def test_requests_that_resolve_to_the_same_set_share_an_environment(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        workspace_id, builder = await house.workspace(), house.builder()
        first, second = await asyncio.gather(
            builder.ensure(workspace_id, wanting("apple"), house.lines.append),
            builder.ensure(workspace_id, wanting("apple>=1", "Apple<9"), house.lines.append),
        )
        assert first == second
        assert house.leftovers() == [first.key]

    async def test_workspaces_share_neither_environments_nor_caches(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        builder = house.builder()
        here = await builder.ensure(await house.workspace(), wanting("apple"), house.lines.append)
        there = await builder.ensure(await house.workspace(), wanting("apple"), house.lines.append)
        modules = [next(one.path.glob("lib/python*/site-packages/apple.py")) for one in (here, there)]
        assert not modules[0].samefile(modules[1])

    async def test_use_is_noted_at_most_once_an_hour(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        workspace_id, builder = await house.workspace(), house.builder()
        used = []
        for minutes in (0, 30, 90):
            house.now = NOON + timedelta(minutes=minutes)
            await builder.ensure(workspace_id, wanting("apple"), house.lines.append)
            async with house.database.read() as reader:
                used.append(from_micros(await reader.value("SELECT last_used_at FROM environments")))
        assert used == [NOON, NOON, NOON + timedelta(minutes=90)]


class TestFailing:
    async def test_a_package_that_does_not_exist_is_named_in_one_line_and_leaves_nothing(self, house: House) -> None:
        """semantics S6"""
        with pytest.raises(UnavailableError) as failure:
            await house.builder().ensure(await house.workspace(), wanting("nosuchpkg"), house.lines.append)
        assert failure.value.message.startswith("environment could not be built: No solution found")
        assert "nosuchpkg was not found in the package registry" in failure.value.message
        assert "\n" not in failure.value.message
        assert house.leftovers() == []

    async def test_a_build_that_breaks_says_its_last_line_and_leaves_nothing(self, house: House) -> None:
        """semantics S6"""
        make_sdist(house.packages, "broken", "1.0", 'raise OSError("the compiler is missing")')
        workspace_id = await house.workspace()
        with pytest.raises(
            UnavailableError, match=r"Failed to build `broken==1\.0`.*OSError: the compiler is missing$"
        ):
            await house.builder().ensure(workspace_id, wanting("broken"), house.lines.append)
        assert house.leftovers() == []
        async with house.database.read() as reader:
            assert await reader.value("SELECT count(*) FROM environments") == 0

    async def test_all_who_wait_are_told_the_reason(self, house: House) -> None:
        workspace_id, builder = await house.workspace(), house.builder()
        wanted = [builder.ensure(workspace_id, wanting("nosuchpkg"), house.lines.append) for _ in range(3)]
        results = await asyncio.gather(*wanted, return_exceptions=True)
        assert [type(result) for result in results] == [UnavailableError] * 3

    async def test_a_build_that_takes_too_long_is_ended(self, house: House) -> None:
        make_sdist(house.packages, "sleepy", "1.0", "import threading; threading.Event().wait()")
        with pytest.raises(UnavailableError, match="it took longer than 1 seconds"):
            await house.builder(build_timeout_seconds=1).ensure(
                await house.workspace(), wanting("sleepy"), house.lines.append
            )
        assert house.leftovers() == []

    async def test_a_build_nobody_waits_for_any_more_is_ended(self, house: House) -> None:
        make_sdist(house.packages, "sleepy", "1.0", 'import threading; print("x"); threading.Event().wait()')
        workspace_id, builder, building = await house.workspace(), house.builder(), asyncio.Event()

        def report(line: str) -> None:
            if "Building sleepy" in line:
                building.set()

        waiting = asyncio.create_task(builder.ensure(workspace_id, wanting("sleepy"), report))
        await asyncio.wait_for(building.wait(), 30)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert house.leftovers() == []

    async def test_a_missing_python_is_answered_with_those_there_are(self, house: House) -> None:
        with pytest.raises(InvalidError, match=r"^Python 3\.2 is not on this machine; it has 3\.") as failure:
            await house.builder().ensure(await house.workspace(), wanting(python="3.2"), house.lines.append)
        assert failure.value.hint is not None
        assert "python_search_paths" in failure.value.hint

    async def test_what_an_earlier_daemon_left_unfinished_is_swept(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        workspace_id, builder = await house.workspace(), house.builder()
        environment = await builder.ensure(workspace_id, wanting("apple"), house.lines.append)
        for parent in (house.state / "envs", house.state / "cache" / "uv" / str(workspace_id)):
            (parent / "abc.tmp-1" / "lib").mkdir(parents=True)
        assert len(house.leftovers()) == 3
        await builder.sweep()
        assert house.leftovers() == [environment.key]

    async def test_an_environment_without_its_mark_does_not_count(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        workspace_id, builder = await house.workspace(), house.builder()
        environment = await builder.ensure(workspace_id, wanting("apple"), house.lines.append)
        (environment.path / "dlt-runtime.json").unlink()
        next(environment.path.glob("lib/python*/site-packages/apple.py")).unlink()
        again = await builder.ensure(workspace_id, wanting("apple"), house.lines.append)
        assert await python_says(house, again, "import apple; print(apple.VERSION)") == ["1.0"]
        assert house.leftovers() == [environment.key]


class _Index:
    """A package index on the loopback that asks `joe` for the password `s3cr et-pw`."""

    def __init__(self, packages: Path) -> None:
        expected = "Basic " + b64encode(b"joe:s3cr et-pw").decode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self._body() if self.headers.get("Authorization") == expected else None
                self.send_response(401 if self.headers.get("Authorization") != expected else 200 if body else 404)
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/zip")
                self.end_headers()
                self.wfile.write(body or b"")

            def do_HEAD(self) -> None:
                self.do_GET()

            def _body(self) -> bytes | None:
                name = self.path.strip("/").split("/")[-1]
                if not self.path.endswith("/"):
                    return (packages / name).read_bytes()
                wheels = sorted(packages.glob(f"{name}-*"))
                return "".join(f'<a href="/files/{one.name}">{one.name}</a>' for one in wheels).encode() or None

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)

    def url_with(self, user: str, password: str) -> str:
        return f"http://{user}:{password}@127.0.0.1:{self._server.server_port}/simple"

    def __enter__(self) -> "_Index":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class TestCredentials:
    async def test_the_password_of_an_index_is_used_and_then_nowhere_to_be_found(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        with _Index(house.packages) as index:
            builder = house.builder(index_url=index.url_with("joe", "s3cr%20et-pw"), find_links=())
            workspace_id = await house.workspace()
            environment = await builder.ensure(workspace_id, wanting("apple"), house.lines.append)
            with pytest.raises(UnavailableError) as failure:
                await builder.ensure(workspace_id, wanting("missing"), house.lines.append)
        assert await python_says(house, environment, "import apple; print(apple.VERSION)") == ["1.0"]
        everything = "\n".join([*house.lines, failure.value.message])
        kept = [path for path in house.state.rglob("*") if path.is_file() and holds(path, b"et-pw", b"am9lOn")]
        assert kept == []
        assert "et-pw" not in everything

    async def test_a_wrong_password_is_told_without_telling_it(self, house: House) -> None:
        make_wheel(house.packages, "apple", "1.0")
        with _Index(house.packages) as index:
            builder = house.builder(index_url=index.url_with("joe", "wr0ng-pw"), find_links=())
            with pytest.raises(UnavailableError, match="environment could not be built: ") as failure:
                await builder.ensure(await house.workspace(), wanting("apple"), house.lines.append)
        assert "wr0ng" not in "\n".join([*house.lines, failure.value.message])


async def test_a_record_tells_what_a_request_resolved_to(house: House) -> None:
    make_wheel(house.packages, "apple", "1.0")
    workspace_id = await house.workspace()
    environment = await house.builder().ensure(workspace_id, wanting("apple"), house.lines.append)
    async with house.database.read() as reader:
        digest = await reader.value("SELECT request_digest FROM environments")
        record = await find_environment(reader, workspace_id, digest)
        assert await find_environment(reader, uuid4(), digest) is None
    assert record is not None
    assert (record.key, record.resolved, record.created_at) == (environment.key, ("apple==1.0",), NOON)
