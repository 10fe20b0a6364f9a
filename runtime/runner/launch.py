"""What the runner is told and what it hands out: a launch, an order, a live process."""

from pathlib import Path
from typing import Any, Self
from uuid import UUID

from pydantic import Field, model_validator

from runtime.domain.machines import Machine
from runtime.domain.model import Frozen
from runtime.sandbox.identity import ProcessIdentity
from runtime.sandbox.policy import Mount

UNRELEASED_EXIT_CODE = 113
"""A launcher's when no order came: no code of the job has run, so a success or a failure would be a lie."""
UNRELEASED_LOG_MODE = 0o400
"""What it makes of its log's mode then, so that a job which ends with that exit code is not taken for it."""


class KeptData(Frozen):
    """What a profile's runs keep; shown at /workspace/.dlt/.var/<profile> and at /workspace/_local/<profile>."""

    var: Path
    local: Path


class CopiedData(Frozen):
    """Copies of that, in generations: `place/current` is a link to a directory with the same two, `var` and `local`.

    The whole place is shown, and links lead through `current`, so that the next generation is seen as soon as it is
    there.
    """

    place: Path


class Launch(Frozen):
    """Everything a run's sandbox is made of. All directories exist; the runner makes and copies none.

    Attributes:
        environment: The virtualenv, shown at /venv.
        base_prefix: The installation of its interpreter (`sys.base_prefix`).
        working_copy: This run's own copy of the deployment with its `.dlt/`, shown writable at /workspace.
        data: Where the files are that outlive a run, or copies of them.
        scratch_dir: Shown at /tmp; None gives one in memory, which counts against the machine's.
        launcher: dlt's launcher module from the manifest, e.g. `dlt._workspace.deployment.launchers.job`.
        own_network: A network for this run alone, instead of its workspace's.
        machine: What the run may use.
        extra_mounts: Mounted last.
        variables: Added to the job's environment; they win over ours.
    """

    run_id: UUID
    workspace_id: UUID
    environment: Path
    base_prefix: Path
    working_copy: Path
    data: "KeptData | CopiedData"
    scratch_dir: Path | None = None
    profile: str
    launcher: str
    own_network: bool = False
    machine: Machine = Machine()
    extra_mounts: tuple[Mount, ...] = ()
    variables: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.profile in ("", ".", "..") or "/" in self.profile or "\0" in self.profile:
            raise ValueError(f"`{self.profile}` cannot be a profile's name")
        return self


class ReleaseOrder(Frozen):
    """What a waiting launcher is told. `entry_point` is dlt's `TRuntimeEntryPoint`, ready to be JSON."""

    run_id: UUID
    trigger: str
    entry_point: dict[str, Any]


class LiveProcess(Frozen):
    """A run's sandbox, named so that a later daemon finds it again or sees that it is gone.

    `pid` is that of the sandbox's init, the process whose death ends everything inside; `pid_started` is in clock
    ticks since boot.
    """

    run_id: UUID
    pid: int
    pid_started: int
    boot_id: str

    @property
    def identity(self) -> ProcessIdentity:
        """The init of the sandbox."""
        return ProcessIdentity(pid=self.pid, started=self.pid_started, boot_id=self.boot_id)

    @classmethod
    def of(cls, run_id: UUID, init: ProcessIdentity) -> "LiveProcess":
        """The live process whose init is `init`."""
        return cls(run_id=run_id, pid=init.pid, pid_started=init.started, boot_id=init.boot_id)
