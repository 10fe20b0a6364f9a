"""Parts of a run's log, for a reader who scrolls: this runtime's own, beside the contract's whole logs."""

import re
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.params import FromPath, FromQuery, QueryParameter

from runtime.api.access import access
from runtime.api.controllers.runs import find_run
from runtime.api.dependencies import Limit, Services
from runtime.errors import InvalidError
from runtime.wire.log_pages import ERROR_PATTERN, FoundLinesResponse, LogPageResponse
from runtime.wire.logs import LogLine

_FAR = 10**12
FirstLine = Annotated[int, QueryParameter(ge=0, le=_FAR, description="number of the first line, from 0")]
Text = Annotated[str | None, QueryParameter(max_length=500, description="what the lines hold, in any case")]


class LogPageController(Controller):
    """Lines of one run by their numbers."""

    path = "/v1/workspaces/{workspace_id:uuid}/runs/{run_id:uuid}/logs"
    opt = access("workspace")
    tags = ("logs (this runtime's own)",)

    @get("/lines", summary="A page of lines")
    async def lines(
        self,
        workspace_id: FromPath[UUID],
        run_id: FromPath[UUID],
        services: Services,
        first_line: FirstLine = 0,
        limit: Limit = 100,
    ) -> LogPageResponse:
        """Costs what the page costs, wherever in the log it is."""
        await find_run(services, workspace_id, run_id, None)
        page = await services.log_pages.page(run_id, first_line, limit)
        return LogPageResponse(total=page.total, lines=[LogLine.model_construct(**dict(line)) for line in page.lines])

    @get("/found", summary="Look for lines")
    async def found(
        self,
        workspace_id: FromPath[UUID],
        run_id: FromPath[UUID],
        services: Services,
        text: Text = None,
        errors: FromQuery[bool] = False,
        first_line: FirstLine = 0,
        backwards: FromQuery[bool] = False,
        limit: Limit = 100,
    ) -> FoundLinesResponse:
        """Those that hold `text`, or with `errors` those that look like errors; a part of a long log at a time."""
        await find_run(services, workspace_id, run_id, None)
        if bool(text) == errors:
            raise InvalidError("give either `text` or `errors`", code="invalid")
        pattern = re.compile(re.escape(text), re.IGNORECASE) if text else ERROR_PATTERN
        found = await services.log_pages.find(run_id, pattern, first_line, max(limit, 1), backwards=backwards)
        return FoundLinesResponse(line_nums=list(found.line_nums), next_line=found.next_line)
