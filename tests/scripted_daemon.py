"""A daemon made of prepared answers, for tests of its clients: it notes what it is asked and answers from a table."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

WORKSPACE_ID = UUID("00000000-0000-4000-8000-000000000001")
ORGANIZATION_ID = UUID("00000000-0000-4000-8000-000000000002")
USER_ID = UUID("00000000-0000-4000-8000-000000000003")
AT = "2026-01-02T03:04:05.678000+00:00"
IN_WORKSPACE = f"/api/api/v1/workspaces/{WORKSPACE_ID}"

Answer = Callable[[httpx.Request], httpx.Response]


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit status and what it wrote."""

    code: int
    out: str
    err: str


@dataclass
class ScriptedDaemon:
    """Answers by method and path; several answers for one are given one after the other, the last for ever."""

    asked: list[httpx.Request] = field(default_factory=list)
    _answers: dict[str, list[Answer]] = field(default_factory=dict)

    @property
    def transport(self) -> httpx.MockTransport:
        """What a client uses in place of the network."""
        return httpx.MockTransport(self._answer)

    def answers(self, what: str, *documents: Any, status: int = 200) -> None:
        """Answer `GET /path` and the like, relative to the workspace unless it begins with `/api`, with JSON."""
        self.does(what, *(lambda _, document=document: httpx.Response(status, json=document) for document in documents))

    def does(self, what: str, *answers: Answer) -> None:
        """As `answers`, computed from the request."""
        method, path = what.split(" ")
        self._answers[f"{method} {path if path.startswith('/api') else IN_WORKSPACE + path}"] = list(answers)

    def lists(self, path: str, *items: Any) -> None:
        """Answer a listing with one page."""
        self.answers(f"GET {path}", {"items": items, "limit": 100, "offset": 0, "total": len(items)})

    def requests(self, what: str) -> list[httpx.Request]:
        """What was asked of a method and path."""
        method, path = what.split(" ")
        full = path if path.startswith("/api") else IN_WORKSPACE + path
        return [one for one in self.asked if one.method == method and one.url.path == full]

    def body(self, what: str) -> Any:
        """The JSON body of the only request of a method and path."""
        (request,) = self.requests(what)
        return json.loads(request.content)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        waiting = self._answers.get(f"{request.method} {request.url.path}")
        if not waiting:
            return refusal(404, f"there is nothing at `{request.url.path}`")
        return (waiting.pop(0) if len(waiting) > 1 else waiting[0])(request)


def refusal(status: int, detail: str, **extra: str) -> httpx.Response:
    """An error as the daemon words it."""
    body: dict[str, Any] = {"status_code": status, "detail": detail}
    return httpx.Response(status, json=body | ({"extra": extra} if extra else {}))


def uuid(number: int) -> str:
    """A UUID that a reader recognises."""
    return str(UUID(int=(4 << 76) + (8 << 60) + number))


def me(*workspaces: dict[str, Any]) -> dict[str, Any]:
    """The caller, owner of workspaces."""
    organization = {"id": str(ORGANIZATION_ID), "name": "default", "date_added": AT, "date_updated": AT}
    first = workspaces[0] if workspaces else workspace("default")
    return {
        "user_id": str(USER_ID),
        "identity_id": str(USER_ID),
        "email": "ann@example.org",
        "personal_organization": organization,
        "primary_organization": organization,
        "last_organization": organization,
        "last_workspace": first,
        "workspaces": [{"organization": organization, "workspace": one, "role": "owner"} for one in workspaces],
    }


def workspace(name: str, workspace_id: UUID = WORKSPACE_ID) -> dict[str, Any]:
    """A workspace."""
    return {"id": str(workspace_id), "name": name, "date_added": AT, "date_updated": AT}


def job(job_ref: str = "jobs.shop.load", *, number: int = 10, kind: str = "batch", **more: Any) -> dict[str, Any]:
    """A job; its triggers are the synthetic ones unless given."""
    module = job_ref.split(".")[1]
    return {
        "id": uuid(number),
        "workspace_id": str(WORKSPACE_ID),
        "job_ref": job_ref,
        "name": job_ref.rsplit(".", 1)[-1],
        "script_type": kind,
        "version": 1,
        "job_definition": {
            "job_ref": job_ref,
            "entry_point": {"module": module, "function": "load", "job_type": kind, "launcher": "l"},
            "triggers": [],
            "execute": {},
        },
        "job_definition_engine_version": 1,
        "job_definition_hash": "hash",
        "created_by": str(USER_ID),
        "date_added": AT,
        "date_updated": AT,
        "triggers": [f"manual:{job_ref}"],
        **more,
    }


def run_of(script: dict[str, Any], number: int = 1, status: str = "completed", **more: Any) -> dict[str, Any]:
    """A run of a job."""
    return {
        "id": uuid(1000 + number),
        "workspace_id": str(WORKSPACE_ID),
        "script_version_id": uuid(1),
        "deployment_id": uuid(2),
        "configuration_id": uuid(3),
        "number": number,
        "status": status,
        "trigger": f"manual:{script['job_ref']}",
        "date_added": AT,
        "date_updated": AT,
        "script": script,
        **more,
    }


def package(kind: str, version: int = 1, content_hash: str = "hash") -> dict[str, Any]:
    """A deployment or configuration."""
    more = {"requirements_size": 2} if kind == "deployment" else {"profiles": "prod"}
    return {
        "id": uuid(200 + version),
        "workspace_id": str(WORKSPACE_ID),
        "version": version,
        "content_hash": content_hash,
        "file_count": 3,
        "size": 400,
        "created_by": str(USER_ID),
        "date_added": AT,
        "date_updated": AT,
        **more,
    }


def line(number: int, content: str, phase: str = "program") -> dict[str, Any]:
    """A stored log line."""
    return {"line_num": number, "phase": phase, "reported_at": AT, "content": content}


def stream(*lines: tuple[int, str], breaks: bool = False) -> Answer:
    """A log stream of lines, which ends, or breaks off as when the daemon is killed."""

    def body() -> Iterator[bytes]:
        yield b": hello\n\n"
        for number, content in lines:
            event = {"channel": "program", "line_num": number, "reported_at": AT, "content": content}
            yield f"data: {json.dumps(event)}\n\n".encode()
        if breaks:
            raise httpx.RemoteProtocolError("peer closed connection")

    return lambda _: httpx.Response(200, content=body(), headers={"Content-Type": "text/event-stream"})
