"""Environments built for real in tests: packages made on the spot, and a builder that knows no others."""

import sys
import tarfile
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from runtime.domain.machines import Machine
from runtime.domain.requirements import EnvironmentSpec
from runtime.environments.builder import Environment, EnvironmentBuilder
from runtime.environments.pythons import Pythons
from runtime.runner.runner import kernel_version
from runtime.sandbox.confinement import Confinement, limits_in_force
from runtime.sandbox.policy import Mount, SandboxPolicy
from runtime.sandbox.process import run_in_sandbox
from runtime.sandbox.system_mounts import system_view, write_system_files
from runtime.settings import EnvironmentSettings
from runtime.store.columns import to_micros
from runtime.store.database import Database

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)

# A build backend that needs nothing but Python: what `hook` does happens while the package is being built.
BACKEND = """
import json, os, pathlib, zipfile
NAME, VERSION = {name!r}, {version!r}

def build_wheel(directory, config_settings=None, metadata_directory=None):
    seen = None
{hook}
    wheel = f"{{NAME}}-{{VERSION}}-py3-none-any.whl"
    info = f"{{NAME}}-{{VERSION}}.dist-info"
    with zipfile.ZipFile(os.path.join(directory, wheel), "w") as archive:
        archive.writestr(f"{{NAME}}.py", f"SEEN = {{seen!r}}\\n")
        archive.writestr(f"{{info}}/METADATA", f"Metadata-Version: 2.1\\nName: {{NAME}}\\nVersion: {{VERSION}}\\n")
        archive.writestr(f"{{info}}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(f"{{info}}/RECORD", "")
    return wheel
"""


def make_wheel(into: Path, name: str, version: str, *, requires: tuple[str, ...] = ()) -> None:
    """A wheel of one module, `VERSION = ...`, with a console script of its own name."""
    info = f"{name}-{version}.dist-info"
    dependencies = "".join(f"Requires-Dist: {spec}\n" for spec in requires)
    files = {
        f"{name}.py": f"VERSION = {version!r}\ndef main():\n    print(VERSION)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{dependencies}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = ""
    for path, text in files.items():
        digest = urlsafe_b64encode(sha256(text.encode()).digest()).decode().rstrip("=")
        record += f"{path},sha256={digest},{len(text)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    with zipfile.ZipFile(into / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def make_sdist(into: Path, name: str, version: str, hook: str) -> None:
    """A source distribution whose build runs `hook`; what that leaves in `seen` becomes `<name>.SEEN`."""
    indented = "\n".join(f"    {line}" for line in hook.splitlines())
    files = {
        "pyproject.toml": (
            f'[project]\nname = "{name}"\nversion = "{version}"\n'
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        ),
        "backend.py": BACKEND.format(name=name, version=version, hook=indented),
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    with tarfile.open(into / f"{name}-{version}.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text)
            archive.addfile(entry, BytesIO(text.encode()))


@dataclass
class House:
    """A state directory with a store, a directory of packages, and a builder over them."""

    root: Path
    database: Database
    now: datetime = NOON
    lines: list[str] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def packages(self) -> Path:
        return self.root / "packages"

    def builder(
        self, *, pythons: Pythons | None = None, machine: Machine | None = None, **settings: Any
    ) -> EnvironmentBuilder:
        """A builder that knows no index but an empty directory."""
        chosen = {
            "index_url": (self.root / "no-index").as_uri(),
            "find_links": (str(self.packages),),
            "build_timeout_seconds": 120,
            **settings,
        }
        return EnvironmentBuilder(
            self.state,
            EnvironmentSettings(**chosen),
            self.database,
            system_files=self.root / "system",
            network_entry=_machine_network,
            confinement=Confinement(machine or Machine(), limits_in_force(None, kernel_version())),
            pythons=pythons,
            now=lambda: self.now,
        )

    async def workspace(self) -> UUID:
        workspace_id = uuid4()
        at = to_micros(NOON)
        async with self.database.transaction() as writer:
            await writer.execute(
                "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (?, 'fruit', ?, ?)",
                (workspace_id.bytes, at, at),
            )
        return workspace_id

    def leftovers(self) -> list[str]:
        """Everything that stands for an environment, whole or not."""
        found = [*(self.state / "envs").glob("*"), *(self.state / "cache" / "uv").glob("*/*.tmp-*")]
        return sorted(path.name for path in found)


async def _machine_network(workspace_id: UUID) -> list[str]:
    return []


def wanting(*requirements: str, python: str | None = None) -> EnvironmentSpec:
    version = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    return EnvironmentSpec(python_version=version, requirements=requirements)


async def python_says(house: House, environment: Environment, code: str, *command: str) -> list[str]:
    """Run code in a sandbox as jobs have it: the environment read-only at /venv."""
    view = system_view(house.root / "system", environment.base_prefix)
    policy = SandboxPolicy(
        mounts=(*view.mounts, Mount(source=environment.path, target="/venv")),
        links=view.links,
        environment={"PATH": "/venv/bin:/usr/bin"},
        working_directory="/tmp",
        share_network=False,
    )
    lines: list[str] = []
    code_or_command = list(command) or ["/venv/bin/python", "-c", code]
    exit_code = await run_in_sandbox(policy, code_or_command, on_line=lines.append, timeout_seconds=60)
    assert exit_code == 0, lines
    return lines


def holds(path: Path, *secrets: bytes) -> bool:
    content = path.read_bytes()
    return any(secret in content for secret in secrets)


@asynccontextmanager
async def open_house(root: Path) -> AsyncIterator[House]:
    """One in an empty directory, with a database of its own."""
    for name in ("state", "packages", "no-index"):
        (root / name).mkdir()
    write_system_files(root / "system", isolated_network=False)
    database = await Database.open(root / "state" / "runtime.db")
    try:
        yield House(root, database)
    finally:
        await database.close()
