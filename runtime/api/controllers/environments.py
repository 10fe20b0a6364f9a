"""Environments of runs."""

from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath

from runtime.api.access import access
from runtime.api.controllers.runs import find_run
from runtime.api.dependencies import Services
from runtime.wire.environments import RunEnvironmentResponse


class RunEnvironmentController(Controller):
    """What a run's job could import."""

    path = "/v1/workspaces/{workspace_id:uuid}/runs/{run_id:uuid}/environment"
    opt = access("workspace")
    tags = ("environments (this runtime's own)",)

    @get(summary="The environment of a run")
    async def get_environment(
        self, workspace_id: FromPath[UUID], run_id: FromPath[UUID], services: Services
    ) -> RunEnvironmentResponse:
        """Its Python and every installed package; 404 `environment_unknown` while the run has not begun."""
        await find_run(services, workspace_id, run_id, None)
        found = await services.environments.of(run_id)
        return RunEnvironmentResponse(key=found.key, python_version=found.python, packages=list(found.packages))
