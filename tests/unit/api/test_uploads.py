"""Multipart bodies: streamed, bounded, and gone afterwards."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from runtime.wire.addresses import API_PREFIX
from tests.api_client import WORKSPACE, FakeDeployments, client_for, fake_services, make_app

DEPLOYMENTS = f"{API_PREFIX}/v1/workspaces/{WORKSPACE.id}/deployments"
CONFIGURATIONS = f"{API_PREFIX}/v1/workspaces/{WORKSPACE.id}/configurations"
FORM = {"Content-Type": "multipart/form-data; boundary=xyz"}


def part(name: str, content: bytes) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{name}.bin"'
    return b"--xyz\r\n" + disposition.encode() + b"\r\nContent-Type: x/y\r\n\r\n" + content + b"\r\n"


async def dribble(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def leftovers(tmp_path: Path) -> list[Path]:
    scratch = tmp_path / "tmp"
    return list(scratch.iterdir()) if scratch.exists() else []


@pytest.mark.parametrize("size", [1, 7, 64 * 1024])
async def test_parts_arrive_whole_however_they_are_cut(tmp_path: Path, size: int) -> None:
    deployments = FakeDeployments()
    archive = b"\x1f\x8b--xyz\r\n--xy" + bytes(range(256)) * 4 + b"\r\n--"
    body = part("requirements", b'{"a": 1}') + part("files", archive) + b"--xyz--\r\n"
    async with client_for(make_app(tmp_path, fake_services(deployments=deployments)), token="owner") as owner:
        answer = await owner.post(DEPLOYMENTS, content=dribble(body, size), headers=FORM)
    assert answer.status_code == 201, answer.text
    assert deployments.uploads == [(archive, b'{"a": 1}')]
    assert deployments.archives[0].is_relative_to(tmp_path / "tmp")
    assert leftovers(tmp_path) == []


async def test_a_large_upload_goes_to_disk_in_pieces(tmp_path: Path) -> None:
    deployments = FakeDeployments()
    archive = b"fruit" * 1_000_000
    async with client_for(make_app(tmp_path, fake_services(deployments=deployments)), token="owner") as owner:
        answer = await owner.post(DEPLOYMENTS, files={"files": archive, "requirements": b"{}"})
    assert answer.status_code == 201
    assert deployments.uploads[0][0] == archive


@pytest.mark.parametrize("announced", [True, False])
async def test_a_part_over_its_limit_is_413(tmp_path: Path, announced: bool) -> None:
    app = make_app(tmp_path, package_bytes=1000, configuration_bytes=1000)
    body = part("file", b"x" * 300_000) + b"--xyz--\r\n"
    content: httpx._types.RequestContent = body if announced else dribble(body, 1000)
    async with client_for(app, token="owner") as owner:
        answer = await owner.post(CONFIGURATIONS, content=content, headers=FORM)
    assert answer.status_code == answer.json()["status_code"] == 413
    assert "1,000 bytes" in answer.json()["detail"]
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (part("files", b"x") + b"--xyz--\r\n", "the part `requirements` is missing"),
        (b"--xyz--\r\n", "the part `files` is missing"),
        (part("files", b"x") + part("files", b"y") + b"--xyz--\r\n", "the part `files` is there twice"),
        (part("../evil", b"x") + b"--xyz--\r\n", "there is no use for a part `../evil`"),
        (part("files", b"x") + part("requirements", b"{}"), "cut short"),
        (part("files", b"x")[:-3], "cut short"),
        (b"", "cut short"),
        (b"hello", "not well-formed"),
        (b"--xyz\r\nX: " + b"y" * 100_000, "not well-formed"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said(tmp_path: Path, body: bytes, says: str) -> None:
    deployments = FakeDeployments()
    async with client_for(make_app(tmp_path, fake_services(deployments=deployments)), token="owner") as owner:
        answer = await owner.post(DEPLOYMENTS, content=body, headers=FORM)
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["detail"]
    assert deployments.uploads == []
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data", f"multipart/form-data; boundary={'b' * 5000}"]
)
async def test_another_kind_of_body_is_refused(tmp_path: Path, content_type: str) -> None:
    async with client_for(make_app(tmp_path), token="owner") as owner:
        answer = await owner.post(DEPLOYMENTS, content=b"{}", headers={"Content-Type": content_type})
    assert answer.status_code == 400
