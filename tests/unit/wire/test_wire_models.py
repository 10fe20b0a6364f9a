"""What the models promise to clients that fail on null and on missing keys."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pydantic import ValidationError

from runtime.wire.errors import ErrorResponse
from runtime.wire.identities import WorkspaceResponse
from runtime.wire.jobs import ScriptResponse, TriggeredJob
from runtime.wire.manifests import DeployManifestRequest
from runtime.wire.ping import PingResponse
from runtime.wire.runs import RunResponse

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def make_workspace_response(**changes: object) -> WorkspaceResponse:
    fields = {"id": uuid4(), "name": "fruitshop", "date_added": NOW, "date_updated": NOW}
    return WorkspaceResponse.model_validate({**fields, **changes})


def test_unset_fields_are_left_out_of_the_json() -> None:
    assert make_workspace_response().to_wire().keys() == {"id", "name", "date_added", "date_updated"}
    body = ErrorResponse(status_code=404, detail="gone").to_wire()
    assert body == {"status_code": 404, "detail": "gone", "extra": {}}  # an object, always: null breaks the client


def test_nulls_inside_a_job_definition_are_kept() -> None:
    definition = {"entry_point": {"module": "shop", "function": None}}
    script = ScriptResponse(
        id=uuid4(),
        workspace_id=uuid4(),
        job_ref="jobs.shop",
        script_type="batch",
        version=1,
        job_definition=definition,
        job_definition_engine_version=1,
        job_definition_hash="hash",
        created_by=uuid4(),
        date_added=NOW,
        date_updated=NOW,
    )
    assert script.to_wire()["job_definition"] == definition
    request = DeployManifestRequest(job_definition_engine_version=1, job_definition_hash="hash", jobs=[definition])
    assert request.to_wire()["jobs"] == [definition]


def test_times_are_written_with_their_offset() -> None:
    written = datetime.fromisoformat(make_workspace_response().to_wire()["date_added"])
    assert written == NOW
    assert written.tzinfo is not None


def test_a_time_without_offset_is_refused() -> None:
    with pytest.raises(ValidationError, match="offset"):
        make_workspace_response(date_added="2026-03-10T12:00:00")


def test_unknown_keys_are_ignored() -> None:
    ping = PingResponse.model_validate({"message": "pong", "service": "x", "from_the_future": 1})
    assert ping.to_wire() == {"message": "pong", "service": "x"}


def test_a_status_no_client_knows_cannot_be_written() -> None:
    with pytest.raises(ValidationError):
        RunResponse.model_validate({"status": "queued"})


def test_a_skipped_job_has_neither_run_nor_run_id() -> None:
    skipped = TriggeredJob(
        script_id=uuid4(), job_ref="jobs.shop", trigger="manual:", matched_triggers=[], status="skipped_fresh"
    )
    assert not {"run", "run_id"} & skipped.to_wire().keys()
