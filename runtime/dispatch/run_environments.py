"""Which environment a run had: the Python and the packages that its job imported from."""

from dataclasses import dataclass
from uuid import UUID

from runtime.environments.reasons import Scrubber
from runtime.errors import NotFoundError
from runtime.store.database import Database
from runtime.store.environments import environment_of_run


@dataclass(frozen=True)
class RunEnvironment:
    """What was installed, sorted by name; `python` is the exact version."""

    key: str
    python: str
    packages: tuple[str, ...]


class RunEnvironments:
    """Looks up environments of runs; a resolution is remembered for ever, also where the virtualenv is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, run_id: UUID) -> RunEnvironment:
        """The environment that a run began with.

        Raises:
            NotFoundError: it has not begun, or did so before this was noted.
        """
        async with self._database.read() as connection:
            found = await environment_of_run(connection, run_id)
        if found is None:
            raise NotFoundError("no environment is known of this run", code="environment_unknown")
        hide = Scrubber()  # an address may hold a password
        return RunEnvironment(found.key, found.python, tuple(hide(spec) for spec in sorted(found.resolved)))
