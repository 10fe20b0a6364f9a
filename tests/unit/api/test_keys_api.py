"""The endpoint that replaces the sealing key."""

from pathlib import Path
from typing import Any

from runtime.dispatch.keys import Rotation
from runtime.domain.identities import Principal
from runtime.errors import ConflictError
from runtime.wire.addresses import API_PREFIX
from tests.api_client import ADMIN, ROOT, client_for, fake_services, make_app

ROTATE = f"{API_PREFIX}/v1/admin/keys/rotate"


class KeysOfSystemd:
    async def rotate(self, principal: Principal) -> Rotation:
        assert principal == ADMIN
        raise ConflictError("the sealing key is a systemd credential", code="key_is_credential", hint="give a new one")


async def test_administrators_replace_the_key_and_are_told_its_name(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path), peer=ROOT) as root:
        answer = await root.post(ROTATE)
    assert answer.status_code == 201
    assert answer.json() == {"key_id": "0123456789abcdef", "resealed_files": 2, "unreadable_files": 1}


async def test_others_may_not(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path), token="owner") as owner:
        assert (await owner.post(ROTATE)).status_code == 403


async def test_a_key_that_cannot_be_replaced_is_a_conflict_with_a_hint(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path, fake_services(keys=KeysOfSystemd())), peer=ROOT) as root:
        answer = await root.post(ROTATE)
    assert (answer.status_code, answer.json()["extra"]["hint"]) == (409, "give a new one")


async def test_the_schema_marks_it_as_this_runtimes_own(tmp_path: Path) -> None:
    async with client_for(make_app(tmp_path), peer=ROOT) as root:
        schema: dict[str, Any] = (await root.get("/schema")).json()
    operation = schema["paths"][ROTATE]["post"]
    assert any("this runtime's own" in tag for tag in operation["tags"])
    assert operation["description"]
