"""What whoever looks after the machine asks for: is it well, give me a backup, do messages arrive."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from runtime.dispatch.backup import BackupService
from runtime.dispatch.notifications import Notifier
from runtime.domain.checks import Check

Examine = Callable[[], Awaitable[Sequence[Check]]]
"""Looks at everything the runtime leans on."""


@dataclass(frozen=True)
class Operations:
    """The three."""

    backups: BackupService
    notifier: Notifier
    examine: Examine
