"""Operation of the machine: checks, messages; these bodies are this runtime's own, not the contract's."""

from typing import Literal

from runtime.wire.model import WireModel


class CheckResponse(WireModel):
    """One thing the runtime leans on. `remedy` is the command or setting that mends it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    message: str
    remedy: str | None = None


class DoctorResponse(WireModel):
    """Everything that was looked at; `healthy` unless something failed."""

    healthy: bool
    checks: list[CheckResponse]


class NotifyTargetResponse(WireModel):
    """Somebody who is told of what happens. `kind` is that of the address, which itself is not shown."""

    name: str
    kind: str
    events: list[str]
    workspaces: list[str]
    tags: list[str]
    waiting: int


class ListNotifyTargetsResponse(WireModel):
    """All of them, by name."""

    items: list[NotifyTargetResponse]
