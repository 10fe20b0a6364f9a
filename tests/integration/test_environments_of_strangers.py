"""Builds that are curious or greedy: what strangers' build scripts see, and what they may take."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.domain.machines import Machine
from runtime.environments.builder import Environment
from runtime.errors import UnavailableError
from tests.environment_builds import House, make_sdist, make_wheel, open_house, python_says, wanting

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


PEEK = """
def attempt(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__
processes = [name for name in os.listdir("/proc") if name.isdigit()]
seen = {{
    "key": attempt(lambda: open({state!r} + "/keys/signing.key").read()),
    "database": attempt(lambda: len(open({state!r} + "/runtime.db", "rb").read())),
    "others": attempt(lambda: os.listdir({state!r} + "/cache/uv")),
    "shadow": attempt(lambda: open("/etc/shadow").read()),
    "homes": [entry for entry in attempt(lambda: os.listdir("/home"))],
    "overwritten": attempt(lambda: open("/usr/bin/env", "ab").close()),
    "packages": attempt(lambda: open("/opt/dlt-runtime/packages/1/new", "w").close()),
    "environment": dict(os.environ),
    "secrets": [name for name in processes
                if "HOST_SECRET" in str(attempt(lambda: open("/proc/" + name + "/environ").read()))],
}}
"""


class TestStrangersCode:
    async def test_a_build_script_sees_nothing_of_the_machine_and_can_change_nothing(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOST_SECRET", "HOST_SECRET")
        (house.state / "keys").mkdir()
        (house.state / "keys" / "signing.key").write_text("private")
        make_sdist(house.packages, "nosy", "1.0", PEEK.format(state=str(house.state)))
        environment = await house.builder().ensure(await house.workspace(), wanting("nosy"), house.lines.append)
        (text,) = await python_says(house, environment, "import json, nosy; print(json.dumps(nosy.SEEN))")
        seen = json.loads(text)
        told = seen.pop("environment")
        assert {seen.pop("overwritten"), seen.pop("packages")} <= {"OSError", "PermissionError"}
        hidden = dict.fromkeys(("key", "database", "others", "shadow"), "FileNotFoundError")
        assert seen == {**hidden, "homes": ["job"], "secrets": []}
        assert "HOST_SECRET" not in told

    async def test_a_build_that_puts_a_link_in_place_of_its_environment_is_refused(self, house: House) -> None:
        (house.state / "keys").mkdir()
        hook = f"""
for entry in pathlib.Path("/build").glob("*.tmp-*"):
    entry.rename("/build/moved")
    entry.symlink_to({str(house.state / "keys")!r})
"""
        make_sdist(house.packages, "sly", "1.0", hook + 'seen = "x"')
        with pytest.raises(UnavailableError, match="environment could not be"):
            await house.builder().ensure(await house.workspace(), wanting("sly"), house.lines.append)
        assert house.leftovers() == []
        assert list((house.state / "keys").iterdir()) == []

    async def test_a_build_that_puts_a_link_in_place_of_the_mark_overwrites_nothing(self, house: House) -> None:
        target = house.state / "victim"
        target.write_text("untouched")
        hook = f"""
for entry in pathlib.Path("/build").glob("*.tmp-*"):
    (entry / "dlt-runtime.json").symlink_to({str(target)!r})
"""
        make_sdist(house.packages, "sly", "1.0", hook)
        environment = await house.builder().ensure(await house.workspace(), wanting("sly"), house.lines.append)
        assert target.read_text() == "untouched"
        assert json.loads((environment.path / "dlt-runtime.json").read_text())["key"] == environment.key

    async def test_a_build_that_locks_its_directories_is_still_cleared_away(self, house: House) -> None:
        hook = """
for entry in pathlib.Path("/build").glob("*.tmp-*"):
    (entry / "locked" / "deep").mkdir(parents=True)
    (entry / "locked" / "deep").chmod(0)
    (entry / "locked").chmod(0)
raise SystemExit(3)
"""
        make_sdist(house.packages, "stubborn", "1.0", hook)
        with pytest.raises(UnavailableError):
            await house.builder().ensure(await house.workspace(), wanting("stubborn"), house.lines.append)
        assert house.leftovers() == []


# None goes on for ever: where nobody ends them, they harm nobody but the test.
EATS_MEMORY = """
import time
kept = [b"x" * 16 * 1024 * 1024 for _ in range(64)]
time.sleep(60)
"""
FILLS_TMP = """
with open("/tmp/filling", "wb") as file:
    for _ in range(1024):
        file.write(b"x" * 1024 * 1024)
"""
FILLS_THE_DISK = """
import time
with open("/build/filling", "wb") as file:
    for _ in range(1024):
        file.write(b"x" * 1024 * 1024)
        file.flush()
    time.sleep(60)
"""
FORKS = """
import signal, time
children = []
try:
    while len(children) < 500:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
except OSError as error:
    seen = (len(children), type(error).__name__)
for child in children:
    os.kill(child, signal.SIGKILL)
"""
SMALL = Machine(name="small", memory=300 * 1024**2, tasks=100, disk=100 * 1024**2)


class TestGreedyBuilds:
    """A build has a machine size, as a run has (semantics S6), and hurts itself alone."""

    @pytest.mark.parametrize(
        ("hook", "reason"),
        [
            (EATS_MEMORY, r"killed for memory: it used [\d.]+ [MG]iB of the 300 MiB of machine size `small`"),
            (
                FILLS_THE_DISK,
                r"killed for disk space: its files took [\d.]+ [MG]iB of the 100 MiB of machine size `small`",
            ),
            (FILLS_TMP, r"Failed to build `greedy==1\.0`.*No space left on device"),
        ],
    )
    async def test_one_that_takes_too_much_is_ended_says_so_and_leaves_others_alone(
        self, house: House, hook: str, reason: str
    ) -> None:
        make_sdist(house.packages, "greedy", "1.0", hook)
        make_wheel(house.packages, "apple", "1.0")
        builder = house.builder(machine=SMALL)
        greedy, modest = await asyncio.gather(
            builder.ensure(await house.workspace(), wanting("greedy"), house.lines.append),
            builder.ensure(await house.workspace(), wanting("apple"), house.lines.append),
            return_exceptions=True,
        )
        assert isinstance(greedy, UnavailableError)
        assert re.match(f"environment could not be built: {reason}", greedy.message), greedy.message
        assert isinstance(modest, Environment), modest
        assert house.leftovers() == [modest.key]

    async def test_one_that_forks_for_ever_ends_at_its_own_limit(self, house: House) -> None:
        make_sdist(house.packages, "forks", "1.0", FORKS)
        environment = await house.builder(machine=SMALL).ensure(
            await house.workspace(), wanting("forks"), house.lines.append
        )
        (text,) = await python_says(house, environment, "import forks; print(*forks.SEEN)")
        count, error = text.split()
        assert error == "BlockingIOError"
        assert 20 <= int(count) <= 100

    async def test_one_that_prints_for_ever_fills_no_log(self, house: House) -> None:
        """Semantics S5, S6."""
        hook = 'for _ in range(3_000):\n    print("x" * 1_000)\nraise OSError("the flood is over")'
        make_sdist(house.packages, "chatty", "1.0", hook)
        with pytest.raises(UnavailableError, match=r"OSError: the flood is over$"):
            await house.builder().ensure(await house.workspace(), wanting("chatty"), house.lines.append)
        assert sum(map(len, house.lines)) < 2 * 1024**2
        assert "the rest of the build's output is left out" in house.lines
