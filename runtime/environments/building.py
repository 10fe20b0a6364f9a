"""uv, in a sandbox: resolves a set of requirements and fills a virtualenv.

Building a source distribution runs its author's code, so uv sees what a build needs and nothing else: the system, the
interpreter, the packages the operator points to, a network, and one writable directory that belongs to the workspace.

That directory holds both uv's cache and the virtualenv being built, since a file cannot be hard-linked from one mount
to another. `/venv` is a link into it, so all that uv and build scripts write down is the path jobs will see.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import uv

from runtime.environments.directories import EnvironmentDirectories, read_untrusted, remove_tree
from runtime.environments.keys import requirement_lines
from runtime.environments.pythons import Interpreter
from runtime.environments.reasons import KeptOutput
from runtime.environments.sharing import Report
from runtime.environments.sources import PackageSources
from runtime.errors import InvalidError, UnavailableError
from runtime.sandbox.confinement import Confinement
from runtime.sandbox.policy import Link, Mount, SandboxPolicy
from runtime.sandbox.process import OveruseError, run_in_sandbox
from runtime.sandbox.system_mounts import system_view

NetworkEntry = Callable[[UUID], Awaitable[list[str]]]
"""Gives the arguments that enter a workspace's network; `NetworkHolders.entry` is one."""

VENV = "/venv"
"""Where every environment lies in every sandbox."""

_UV = "/opt/dlt-runtime/uv"
_SHARED = "/build"
_EXCHANGE = "/exchange"
_MOST_REPORTED = 1024 * 1024
"""Characters of one command's output; a build script may print for ever."""


@dataclass(frozen=True)
class BuildSandbox:
    """Everything uv is started with that stays the same from build to build.

    `system_files` is the directory that `write_system_files` filled; `timeout_seconds` and `confinement` bound each
    command of uv's. What builds of one workspace write at the same time counts together.
    """

    directories: EnvironmentDirectories
    sources: PackageSources
    system_files: Path
    network_entry: NetworkEntry
    timeout_seconds: float
    confinement: Confinement

    async def resolve(
        self, workspace_id: UUID, specs: Sequence[str], interpreter: Interpreter, report: Report
    ) -> tuple[str, ...]:
        """The pinned specs, sorted, that satisfy `specs` on this machine.

        Raises:
            InvalidError: a spec cannot be handed to uv.
            UnavailableError: there is no solution, or a package cannot be had; the message is uv's reason.
        """
        lines = requirement_lines(specs)
        exchange = self.directories.scratch()
        try:
            (exchange / "wanted.txt").write_text("\n".join(lines))
            command = ["pip", "compile", "--quiet", "--python", str(interpreter.path), "--no-header", "--no-annotate"]
            command += ["--output-file", f"{_EXCHANGE}/resolved.txt", f"{_EXCHANGE}/wanted.txt"]
            await self._uv(workspace_id, interpreter, command, report, exchange=exchange)
            return await asyncio.to_thread(_read_resolved, exchange / "resolved.txt")
        finally:
            await asyncio.to_thread(remove_tree, exchange)

    async def install(
        self, workspace_id: UUID, venv: Path, resolved: Sequence[str], interpreter: Interpreter, report: Report
    ) -> None:
        """Make `venv`, an empty directory from `EnvironmentDirectories.begin`, a virtualenv of exactly `resolved`.

        Raises:
            UnavailableError: a package cannot be had or built; the message is uv's reason.
        """
        exchange = self.directories.scratch()
        try:
            (exchange / "wanted.txt").write_text("\n".join(requirement_lines(resolved)))
            make = ["venv", "--quiet", "--no-project", "--python", str(interpreter.path), VENV]
            await self._uv(workspace_id, interpreter, make, report, venv=venv)
            fill = ["pip", "sync", "--allow-empty-requirements", "--python", f"{VENV}/bin/python"]
            fill += [f"{_EXCHANGE}/wanted.txt"]
            await self._uv(workspace_id, interpreter, fill, report, venv=venv, exchange=exchange)
        finally:
            await asyncio.to_thread(remove_tree, exchange)

    async def _uv(
        self,
        workspace_id: UUID,
        interpreter: Interpreter,
        arguments: Sequence[str],
        report: Report,
        *,
        venv: Path | None = None,
        exchange: Path | None = None,
    ) -> None:
        kept = KeptOutput()
        room = _MOST_REPORTED

        def take(line: str) -> None:
            nonlocal room
            scrubbed = self.sources.scrub(line)
            kept.add(scrubbed)
            if room > 0:
                room -= len(line) + 1
                report(scrubbed if room > 0 else "the rest of the build's output is left out")

        writes_to = [self.directories.workspace(workspace_id), *([exchange] if exchange else [])]
        try:
            exit_code = await run_in_sandbox(
                await asyncio.to_thread(self._policy, workspace_id, interpreter, venv, exchange),
                [_UV, *arguments],
                network_entry=await self.network_entry(workspace_id),
                confinement=self.confinement,
                writes_to=writes_to,
                on_line=take,
                timeout_seconds=self.timeout_seconds,
            )
        except TimeoutError as error:
            raise _failure(f"it took longer than {self.timeout_seconds:g} seconds") from error
        except OveruseError as error:
            raise _failure(error.message) from error
        if exit_code != 0:
            raise _failure(kept.reason or f"uv ended with exit code {exit_code}")

    def _policy(
        self, workspace_id: UUID, interpreter: Interpreter, venv: Path | None, exchange: Path | None
    ) -> SandboxPolicy:
        view = system_view(self.system_files, interpreter.base_prefix)
        mounts = [
            *view.mounts,
            Mount(source=Path(uv.find_uv_bin()), target=_UV),
            *self.sources.mounts,
            Mount(source=self.directories.workspace(workspace_id), target=_SHARED, writable=True),
        ]
        if exchange is not None:
            mounts.append(Mount(source=exchange, target=_EXCHANGE, writable=True))
        inherited = {name: value for name, value in os.environ.items() if name == "LANG" or name.startswith("LC_")}
        return SandboxPolicy(
            mounts=tuple(mounts),
            links=view.links if venv is None else (*view.links, Link(path=VENV, target=f"{_SHARED}/{venv.name}")),
            environment={
                **inherited,
                "HOME": "/home/job",
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "UV_CACHE_DIR": f"{_SHARED}/cache",
                **self.sources.environment,
            },
            working_directory="/tmp",  # noqa: S108 - inside, private
            share_network=True,
        )


def _read_resolved(path: Path) -> tuple[str, ...]:
    try:
        lines = (line.strip() for line in read_untrusted(path).splitlines())
        return tuple(sorted(requirement_lines(line for line in lines if line and not line.startswith("#"))))
    except (OSError, InvalidError) as error:
        raise _failure("uv's answer cannot be read") from error


def _failure(reason: str) -> UnavailableError:
    return UnavailableError(f"environment could not be built: {reason}", code="environment")
