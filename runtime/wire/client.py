"""The client that the command line and the terminal interface share: one method per thing the daemon can be asked.

Methods answer with the models of `runtime.wire` and raise the family of `runtime.wire.failures.ApiError`; nothing here
prints or reads settings. A client may be used by several threads. Models of rare requests are imported where they are
used, which keeps a listing fast.
"""

import ssl
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx

from runtime.wire.connection import CONNECT_SECONDS, UPLOAD_ANSWER_SECONDS, Answer, Connection
from runtime.wire.endpoint import Endpoint
from runtime.wire.failures import MissingError
from runtime.wire.model import Page
from runtime.wire.tokens import TokenKeeper

if TYPE_CHECKING:
    from runtime.wire.auth import DeviceFlowStartResponse, LoginResponse
    from runtime.wire.identities import MeResponse, WorkspaceResponse
    from runtime.wire.jobs import (
        ArchivedFilter,
        DetailedScriptResponse,
        ScriptResponse,
        TriggeredJob,
        TriggerJobsRequest,
    )
    from runtime.wire.logs import LogsResponse
    from runtime.wire.manifests import DeployManifestRequest, DeployManifestResponse
    from runtime.wire.packages import ConfigurationResponse, DeploymentResponse, FilesManifest
    from runtime.wire.run_details import DetailedRunResponse
    from runtime.wire.runs import BulkCancelResponse
    from runtime.wire.uploads import Progress

PAGE = 100
Item = TypeVar("Item")
Found = TypeVar("Found")


class RuntimeClient:
    """Everything of the contract that a person's commands need.

    Args:
        keeper: Where the tokens of this daemon are kept; None for the Unix socket.
        transport: Replaces the network in tests.
        tls: What the connection trusts instead of this machine's authorities.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        keeper: TokenKeeper | None = None,
        user_agent: str = "dlt-runtime",
        transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.connection = Connection(endpoint, keeper=keeper, user_agent=user_agent, transport=transport, tls=tls)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections kept open."""
        self.connection.close()

    # --- logging in

    def start_device_login(self) -> "DeviceFlowStartResponse":
        """Begin a login that a person approves elsewhere."""
        from runtime.wire.auth import DeviceFlowStartResponse

        return self.connection.ask_auth(DeviceFlowStartResponse, "/v1/workos/device-flow/code")

    def poll_device_login(self, device_code: str) -> "LoginResponse | None":
        """Ask once whether the login was approved; None while nobody has. A refused or expired one is an error."""
        from runtime.wire.auth import DeviceFlowLoginRequest, LoginResponse
        from runtime.wire.failures import ForbiddenError

        body = DeviceFlowLoginRequest(device_code=device_code).to_wire()
        try:
            return self.connection.ask_auth(LoginResponse, "/v1/workos/device-flow/token", json=body)
        except ForbiddenError:
            return None

    def end_session(self, refresh_token: str) -> None:
        """Make the daemon forget a refresh token."""
        self.connection.send_auth("/v1/auth/logout", json={"refresh_token": refresh_token})

    # --- who and where

    def me(self) -> "MeResponse":
        """The caller and their workspaces."""
        from runtime.wire.identities import MeResponse

        return self.connection.ask(MeResponse, "GET", "/v1/me")

    def change_password(self, present: str, new: str) -> None:
        """The caller's own password from now on."""
        self.connection.send("PUT", "/v1/me/password", json={"present_password": present, "password": new})

    def update_workspace(self, workspace_id: UUID, **changes: object) -> "WorkspaceResponse":
        """Change fields of a workspace; those left out stay."""
        from runtime.wire.identities import WorkspaceResponse

        return self.connection.ask(WorkspaceResponse, "PATCH", f"/v1/workspaces/{workspace_id}", json=changes)

    def create_workspace(self, organization_id: UUID, name: str, description: str | None = None) -> "WorkspaceResponse":
        """A new workspace, owned by the caller."""
        from runtime.wire.identities import WorkspaceCreateRequest, WorkspaceResponse

        body = WorkspaceCreateRequest(name=name, description=description).to_wire()
        path = f"/v1/organizations/{organization_id}/workspaces"
        return self.connection.ask(WorkspaceResponse, "POST", path, json=body)

    def workspace(self, workspace_id: UUID) -> "WorkspaceResponse":
        """One workspace."""
        from runtime.wire.identities import WorkspaceResponse

        return self.connection.ask(WorkspaceResponse, "GET", _in(workspace_id))

    # --- code and configuration

    def deployments(self, workspace_id: UUID) -> "Iterator[DeploymentResponse]":
        """All versions of the code, newest first."""
        from runtime.wire.packages import ListDeploymentsResponse

        return self._pages(ListDeploymentsResponse, _in(workspace_id, "deployments"))

    def deployment(self, workspace_id: UUID, version: int | None = None) -> "DeploymentResponse | None":
        """A version of the code, the newest by default; None if there is no such version."""
        from runtime.wire.packages import DeploymentResponse

        path = _in(workspace_id, "deployments", _version(version))
        return _or_none(lambda: self.connection.ask(DeploymentResponse, "GET", path))

    def configurations(self, workspace_id: UUID) -> "Iterator[ConfigurationResponse]":
        """All versions of the configuration, newest first."""
        from runtime.wire.packages import ListConfigurationsResponse

        return self._pages(ListConfigurationsResponse, _in(workspace_id, "configurations"))

    def configuration(self, workspace_id: UUID, version: int | None = None) -> "ConfigurationResponse | None":
        """A version of the configuration, the newest by default; None if there is no such version."""
        from runtime.wire.packages import ConfigurationResponse

        path = _in(workspace_id, "configurations", _version(version))
        return _or_none(lambda: self.connection.ask(ConfigurationResponse, "GET", path))

    def package_files(self, workspace_id: UUID, kind: str, version: int | None = None) -> "FilesManifest":
        """The files of a version. `kind` is `deployments` or `configurations`."""
        from runtime.wire.packages import FilesManifest

        return self.connection.ask(FilesManifest, "GET", _in(workspace_id, kind, _version(version), "files"))

    def upload_deployment(
        self, workspace_id: UUID, archive: BinaryIO, requirements: bytes, progress: "Progress"
    ) -> "DeploymentResponse":
        """A new version of the code, active from now on. The archive is read from where it stands to its end."""
        from runtime.wire.packages import (
            DEPLOYMENT_ARCHIVE_PART,
            DEPLOYMENT_REQUIREMENTS_PART,
            DeploymentResponse,
        )

        parts = {
            DEPLOYMENT_ARCHIVE_PART: _archive_part("workspace.tar.gz", archive, progress),
            DEPLOYMENT_REQUIREMENTS_PART: ("requirements.json", requirements, "application/json"),
        }
        return self._upload(DeploymentResponse, _in(workspace_id, "deployments"), parts)

    def upload_configuration(
        self, workspace_id: UUID, archive: BinaryIO, progress: "Progress"
    ) -> "ConfigurationResponse":
        """A new version of the configuration, active from now on."""
        from runtime.wire.packages import CONFIGURATION_ARCHIVE_PART, ConfigurationResponse

        parts = {CONFIGURATION_ARCHIVE_PART: _archive_part("configurations.tar.gz", archive, progress)}
        return self._upload(ConfigurationResponse, _in(workspace_id, "configurations"), parts)

    def deploy_manifest(self, workspace_id: UUID, manifest: "DeployManifestRequest") -> "DeployManifestResponse":
        """Make the jobs of a module what the manifest says, or with `dry_run` say what that would change."""
        from runtime.wire.manifests import DeployManifestResponse

        path = _in(workspace_id, "deployment_manifest")
        return self.connection.ask(DeployManifestResponse, "PUT", path, json=manifest.to_wire())

    # --- jobs

    def jobs(self, workspace_id: UUID, *, archived: "ArchivedFilter" = "false") -> "Iterator[DetailedScriptResponse]":
        """All jobs, ordered by name."""
        from runtime.wire.jobs import ListScriptsResponse

        return self._pages(ListScriptsResponse, _in(workspace_id, "scripts"), archived=archived)

    def job(self, workspace_id: UUID, id_or_ref: UUID | str) -> "DetailedScriptResponse":
        """One job by id or full reference."""
        from runtime.wire.jobs import DetailedScriptResponse

        return self.connection.ask(DetailedScriptResponse, "GET", _in(workspace_id, "scripts", id_or_ref))

    def trigger(self, workspace_id: UUID, request: "TriggerJobsRequest") -> "list[TriggeredJob]":
        """Start jobs; one entry for each job meant."""
        from runtime.wire.jobs import TriggerJobsResponse

        path = _in(workspace_id, "scripts", "trigger")
        return self.connection.ask(TriggerJobsResponse, "POST", path, json=request.to_wire()).triggered

    def publish(self, workspace_id: UUID, job_ref: str) -> "ScriptResponse":
        """Make the public link of an interactive job."""
        from runtime.wire.jobs import ScriptResponse

        return self.connection.ask(ScriptResponse, "POST", _in(workspace_id, "scripts", job_ref, "public-url"))

    def unpublish(self, workspace_id: UUID, job_ref: str) -> "ScriptResponse":
        """Drop the public link of an interactive job."""
        from runtime.wire.jobs import ScriptResponse

        return self.connection.ask(ScriptResponse, "DELETE", _in(workspace_id, "scripts", job_ref, "public-url"))

    # --- runs

    def runs(self, workspace_id: UUID, *, job_id: UUID | None = None) -> "Iterator[DetailedRunResponse]":
        """Runs of the workspace or of one job, newest first; pages are fetched as they are consumed."""
        from runtime.wire.run_details import ListRunsResponse

        wanted = {} if job_id is None else {"script_id": str(job_id)}
        return self._pages(ListRunsResponse, _in(workspace_id, "runs"), **wanted)

    def run(self, workspace_id: UUID, run_id: UUID) -> "DetailedRunResponse":
        """One run."""
        from runtime.wire.run_details import DetailedRunResponse

        return self.connection.ask(DetailedRunResponse, "GET", _in(workspace_id, "runs", run_id))

    def logs(self, workspace_id: UUID, run_id: UUID) -> "LogsResponse":
        """The lines of a run so far."""
        from runtime.wire.logs import LogsResponse

        return self.connection.ask(LogsResponse, "GET", _in(workspace_id, "runs", run_id, "logs"))

    def cancel_run(self, workspace_id: UUID, run_id: UUID) -> "DetailedRunResponse":
        """Ask one run to stop."""
        from runtime.wire.run_details import DetailedRunResponse

        return self.connection.ask(DetailedRunResponse, "POST", _in(workspace_id, "runs", run_id, "cancel"))

    def cancel_jobs(self, workspace_id: UUID, job_refs: list[str], *, dry_run: bool = False) -> "BulkCancelResponse":
        """Ask the newest active run of each job to stop."""
        from runtime.wire.runs import BulkCancelRequest, BulkCancelResponse

        body = BulkCancelRequest(job_refs=job_refs, dry_run=dry_run).to_wire()
        return self.connection.ask(BulkCancelResponse, "POST", _in(workspace_id, "runs", "cancel"), json=body)

    def _pages(self, answer: type[Page[Item]], path: str, **wanted: str) -> Iterator[Item]:
        offset = 0
        while True:
            page = self.connection.ask(answer, "GET", path, params={**wanted, "limit": PAGE, "offset": offset})
            yield from page.items
            offset += len(page.items)
            if not page.items or offset >= page.total:
                return

    def _upload(self, answer: type[Answer], path: str, parts: dict[str, Any]) -> Answer:
        timeout = httpx.Timeout(UPLOAD_ANSWER_SECONDS, connect=CONNECT_SECONDS)
        return self.connection.ask(answer, "POST", path, files=parts, timeout=timeout)


def _in(workspace_id: UUID, *parts: object) -> str:
    return "/".join(("/v1/workspaces", str(workspace_id), *(quote(str(part), safe="") for part in parts)))


def _version(version: int | None) -> str:
    return "latest" if version is None else str(version)


def _or_none(fetch: Callable[[], Found]) -> Found | None:
    try:
        return fetch()
    except MissingError:
        return None


def _archive_part(name: str, archive: BinaryIO, progress: "Progress") -> tuple[str, Any, str]:
    from runtime.wire.package_format import ARCHIVE_MEDIA_TYPE
    from runtime.wire.uploads import ReportingFile

    return name, ReportingFile(archive, progress), ARCHIVE_MEDIA_TYPE
