"""Which Python interpreters this machine has for jobs.

Only real CPython binaries that the daemon's own user can execute count: pyenv's shims and other wrapper scripts are
passed over (what they lead to is found where it lies), a virtualenv's interpreter counts as the one it was made from.
The order of discovery is the order of preference, so the same machine always answers with the same interpreter.
"""

import asyncio
import json
import os
import pwd
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from runtime.domain.model import Frozen
from runtime.errors import InvalidError

log = structlog.get_logger()

_EXECUTABLE_NAME = re.compile(r"python3(\.\d+)?")
_ORDINARY_ABI = re.compile(r"cpython-\d+-")  # neither PyPy nor a debug or free-threaded build
_PROBE_SECONDS = 20
_PROBE = """
import json, platform, sys, sysconfig
print(json.dumps({
    "version": platform.python_version(),
    "prefix": sys.prefix,
    "base_prefix": sys.base_prefix,
    "abi": sysconfig.get_config_var("SOABI"),
    "platform": sysconfig.get_platform(),
}))
"""


class Interpreter(Frozen):
    """One CPython: where its binary and its standard library lie, and what is compiled for it.

    `path` and `base_prefix` are free of symlinks; `path` lies below `base_prefix`.
    """

    path: Path
    base_prefix: Path
    version: str
    abi: str
    platform: str

    @property
    def minor(self) -> str:
        """`major.minor`, as a deployment asks for it."""
        return ".".join(self.version.split(".")[:2])


class Pythons:
    """The interpreters of this machine, looked for once and again when one is missing."""

    def __init__(self, search_paths: Sequence[Path] = (), *, environ: Mapping[str, str] | None = None) -> None:
        self._search_paths = tuple(search_paths)
        self._environ = os.environ if environ is None else environ
        self._found: tuple[Interpreter, ...] | None = None
        self._lock = asyncio.Lock()

    async def all(self, *, refresh: bool = False) -> tuple[Interpreter, ...]:
        """All usable interpreters, preferred ones first; `refresh` looks again."""
        async with self._lock:
            if self._found is None or refresh:
                self._found = await self._discover()
            return self._found

    async def choose(self, minor: str) -> Interpreter:
        """The interpreter for `major.minor`.

        Raises:
            InvalidError: the machine has none; the message lists the versions it has.
        """
        found = _first(await self.all(), minor) or _first(await self.all(refresh=True), minor)
        if found is None:
            raise InvalidError(
                missing_python_message(minor, await self.all()),
                code="python_version",
                hint=f"install Python {minor} where the daemon's user can execute it, "
                "or name its directory in `environments.python_search_paths`",
            )
        return found

    async def _discover(self) -> tuple[Interpreter, ...]:
        paths = await asyncio.to_thread(candidates, self._search_paths, self._environ)
        probed = await asyncio.gather(*(probe(path) for path in paths))
        usable = tuple(interpreter for interpreter in probed if interpreter is not None)
        log.info(
            "looked for Python interpreters",
            action="pythons.discover",
            found=[f"{interpreter.version} {interpreter.path}" for interpreter in usable],
        )
        return usable


def missing_python_message(minor: str, present: Iterable[Interpreter]) -> str:
    """Says which versions there are when `minor` is none of them."""
    versions = sorted({interpreter.version for interpreter in present}, key=_version_order)
    has = f"it has {', '.join(versions)}" if versions else "it has no usable Python"
    return f"Python {minor} is not on this machine; {has}"


def candidates(search_paths: Sequence[Path], environ: Mapping[str, str]) -> list[Path]:
    """Binaries worth asking, symlinks resolved, in order of preference, each once.

    Directories named in the settings come first, then `PATH`, the system's, pyenv's and uv's own.
    """
    home = _home(environ)
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    managed = Path(environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    directories = [
        *search_paths,
        *(Path(entry) for entry in environ.get("PATH", "").split(":") if entry.startswith("/")),
        Path("/usr/local/bin"),
        Path("/usr/bin"),
        *_installations(pyenv),
        *_installations(managed),
    ]
    found: dict[Path, None] = {}
    for directory in directories:
        found.update(dict.fromkeys(_binaries(directory)))
    return list(found)


async def probe(path: Path) -> Interpreter | None:
    """Ask a binary what it is; None when it cannot run here or is no CPython for jobs."""
    try:
        process = await asyncio.create_subprocess_exec(
            str(path),
            *("-I", "-S", "-c", _PROBE),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin"},
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return read_probe(path, output) if process.returncode == 0 else None


def read_probe(path: Path, output: bytes) -> Interpreter | None:
    """The interpreter that answered `output`, or None for one that no sandbox may be built on."""
    try:
        answer = json.loads(output)
    except ValueError:
        return None
    prefix = Path(answer["base_prefix"]).resolve()
    abi = answer["abi"] or ""
    if not _ORDINARY_ABI.match(abi) or answer["prefix"] != answer["base_prefix"]:
        return None
    if not path.is_relative_to(prefix) or not _may_be_shown(prefix):
        return None
    return Interpreter(
        path=path,
        base_prefix=prefix,
        version=answer["version"],
        abi=abi,
        platform=answer["platform"],
    )


def _may_be_shown(prefix: Path) -> bool:
    # A sandbox sees all of an interpreter's prefix: one installed straight into a home would show that home.
    if prefix.is_relative_to("/usr"):
        return True
    homes = {Path(entry.pw_dir).resolve() for entry in pwd.getpwall()}
    return prefix != Path("/") and not any(home.is_relative_to(prefix) for home in homes)


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or "/nonexistent")


def _installations(root: Path) -> list[Path]:
    try:
        names = [entry for entry in root.iterdir() if not entry.is_symlink()]
    except OSError:
        return []
    return [entry / "bin" for entry in sorted(names, key=lambda entry: _version_order(entry.name), reverse=True)]


def _binaries(directory: Path) -> list[Path]:
    try:
        named = sorted(entry for entry in directory.iterdir() if _EXECUTABLE_NAME.fullmatch(entry.name))
        return [real for entry in named if _is_binary(real := entry.resolve())]
    except OSError:
        return []


def _is_binary(path: Path) -> bool:
    if not os.access(path, os.X_OK):
        return False
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def _first(interpreters: Iterable[Interpreter], minor: str) -> Interpreter | None:
    return next((one for one in interpreters if one.minor == minor and os.access(one.path, os.X_OK)), None)


def _version_order(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
