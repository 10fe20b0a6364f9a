"""Looking into the code that was deployed. Configurations have no such thing: their contents never leave the store."""

import asyncio
from uuid import UUID

from runtime.dispatch.lookup import require, version_or_id
from runtime.domain.code import MOST_TEXT_BYTES, CodeFile, as_text
from runtime.store import packages as store
from runtime.store.database import Database


class CodeFiles:
    """Files of deployments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, workspace_id: UUID, which: str, path: str) -> CodeFile:
        """One file of a deployment.

        Args:
            which: A version number or an identifier.
            path: As the deployment's manifest has it. It is looked up there and nowhere on the disk.

        Raises:
            NotFoundError: there is no such deployment, or no such file in it.
        """
        async with self._database.read() as connection:
            deployment = require(
                await store.find_deployment(connection, workspace_id, version_or_id(which)),
                f"there is no deployment `{which}`",
            )
            missing = f"version {deployment.version} of the code has no file `{path}`"
            file = require(await store.deployment_file(connection, deployment.id, path), missing)
            shown = CodeFile(
                relative_path=file.relative_path,
                size_bytes=file.size_bytes,
                sha3_256=file.sha3_256,
                kind="link" if file.linkname is not None else "large",
                linkname=file.linkname,
            )
            if file.linkname is not None or file.size_bytes > MOST_TEXT_BYTES:
                return shown
            content = require(await store.file_content(connection, file), missing)
        text = await asyncio.to_thread(as_text, content)
        return shown.model_copy(update={"kind": "binary" if text is None else "text", "text": text})
