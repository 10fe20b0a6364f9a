"""Every operation of the contract over a real store: it is there, succeeds with the status the client takes for
success, and answers with what the client can read."""

from pathlib import Path

import pytest

from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX
from tests.contract import operations
from tests.every_operation import ask_everything
from tests.house import House
from tests.tenants import Estate, add_tenant, build_estate

REFUSED = {f"POST {API_PREFIX}/v1/organizations": 400, f"POST {AUTH_PREFIX}/v1/workos/token-exchange": 400}
"""What a machine of one's own has no use for; the client declares this status."""


@pytest.fixture
async def estate(house: House, tmp_path: Path) -> Estate:
    return await build_estate(house, tmp_path)


def test_every_operation_is_a_route_with_its_query_parameters_and_statuses(estate: Estate) -> None:
    document = estate.app.openapi_schema.to_schema()["paths"]
    for operation in operations():
        described = document[operation.path][operation.method.lower()]
        assert str(operation.success) in described["responses"], operation.name
        assert {str(status) for status in operation.errors} <= described["responses"].keys(), operation.name
        parameters = [one for one in described.get("parameters", []) if one["in"] == "query"]
        query = {one["name"] for one in parameters if "(this runtime's own)" not in one.get("description", "")}
        assert query == operation.query, operation.name


def test_additions_are_marked_as_ours_and_nothing_else_is(estate: Estate) -> None:
    contract = {operation.name for operation in operations()}
    for path, methods in estate.app.openapi_schema.to_schema()["paths"].items():
        for method, described in methods.items():
            is_ours = any("(this runtime's own)" in tag for tag in described["tags"])
            assert is_ours == (f"{method.upper()} {path}" not in contract), f"{method} {path}"


async def test_every_operation_answers_with_what_the_client_reads(estate: Estate) -> None:
    tenant = await add_tenant(estate, "anna")
    asked = set()
    async for operation, answer in ask_everything(estate, tenant):
        asked.add(operation.name)
        assert answer.status_code == REFUSED.get(operation.name, operation.success), f"{operation.name}: {answer.text}"
        if answer.status_code < 400 and operation.answer is not None:
            assert "null" not in answer.text.replace('"function":null', ""), operation.name
            operation.check(answer.json())
    assert asked == {operation.name for operation in operations()}
