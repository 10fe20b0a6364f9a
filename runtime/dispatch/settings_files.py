"""What a run may see of the configuration it pinned: opened for its sandbox, and read to mask its log."""

import asyncio
from collections.abc import Sequence

from runtime.dispatch.configurations import seal_context
from runtime.domain.masking import MOST_PATTERN_BYTES, Masker, hiding_all, masker_for
from runtime.domain.profiles import files_for_profile
from runtime.domain.runs import Run
from runtime.domain.secret_values import values_in
from runtime.errors import StoreError
from runtime.packages.archive import configuration_source
from runtime.packages.sealing import Sealer
from runtime.store import packages
from runtime.store.database import Database

SettingsFile = tuple[str, bytes]
"""Path below `.dlt`, and content."""

_SECRETS = "secrets.toml"


class SettingsFiles:
    """The only place where configurations are opened; nothing of it goes anywhere but into the run's own sandbox."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def visible_to(self, run: Run) -> list[SettingsFile]:
        """Exactly the files a run of its profile sees, opened (semantics J6); a link gives what it leads to.

        Raises:
            StoreError: a content does not open with the keys at hand.
        """
        return [(path, content) for path, _, content in await self._open(run)]

    async def masker(self, run: Run) -> Masker:
        """What masks the values of the secrets files among them in the run's log; every daemon gets the same.

        Raises:
            StoreError: a content does not open with the keys at hand.
        """
        opened = await self._open(run)
        secrets = [content for path, source, content in opened if path.endswith(_SECRETS) or source.endswith(_SECRETS)]
        return await asyncio.to_thread(_masker_of, secrets)

    async def _open(self, run: Run) -> list[tuple[str, str, bytes]]:
        """Path, the path it leads to, which is the same unless it is a link, and content."""
        async with self._database.read() as connection:
            sealed = await packages.configuration_files(connection, run.configuration_id)
        files = {file.relative_path: (file, content) for file, content in sealed}
        entries = [file for file, _ in sealed]
        opened: list[tuple[str, str, bytes]] = []
        for path in files_for_profile(files, run.profile):
            source, content = files[configuration_source(entries, path).relative_path]
            context = seal_context(run.configuration_id, source)
            opened.append((path, source.relative_path, self._unseal(content, context)))
        return opened

    def _unseal(self, content: bytes, context: bytes) -> bytes:
        try:
            return self._sealer.unseal(content, context)
        except StoreError as error:
            if error.code != "sealing_key":
                raise
            # Of an error, a run shows the message alone.
            raise StoreError(
                "the configuration was sealed with a key that is not there: put it back, or upload the configuration "
                "again with `dlt-runtime configuration sync`",
                code="sealing_key",
            ) from error


def _masker_of(documents: Sequence[bytes]) -> Masker:
    if sum(map(len, documents)) > MOST_PATTERN_BYTES:
        return hiding_all("the secrets files are larger than what can be masked")
    return masker_for(value for document in documents for value in values_in(document))
