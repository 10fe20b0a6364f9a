"""Operation of the machine through its Unix socket: checks, backups, messages. Raises as `runtime.wire.client`."""

from typing import IO

from runtime.wire.connection import UPLOAD_ANSWER_SECONDS, Connection
from runtime.wire.operations import DoctorResponse, ListNotifyTargetsResponse, NotifyTargetResponse

PREFIX = "/v1/admin"


class OperationsClient:
    """What only administrators may ask."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def doctor(self) -> DoctorResponse:
        """Have everything looked at."""
        return self._connection.ask(DoctorResponse, "GET", f"{PREFIX}/doctor")

    def backup(self, into: IO[bytes], *, with_keys: bool) -> int:
        """Have a backup taken and write it; returns how many bytes it has."""
        written = 0
        params = {"with_keys": str(with_keys).lower()}
        with self._connection.download(f"{PREFIX}/backup", params, answer_seconds=UPLOAD_ANSWER_SECONDS) as blocks:
            for block in blocks:
                written += into.write(block)
        return written

    def targets(self) -> list[NotifyTargetResponse]:
        """Who is told of what."""
        return self._connection.ask(ListNotifyTargetsResponse, "GET", f"{PREFIX}/notifications").items

    def test_target(self, name: str) -> None:
        """Have a test message delivered."""
        self._connection.send("POST", f"{PREFIX}/notifications/{name}/test")
