"""Requests made from our own OpenAPI document: none breaks the server, none is answered in a way it does not describe.

All checks of schemathesis: no server error, no undocumented status, content type or body, what fits the schema is
taken and what does not is refused, credentials are asked for where the document says so. Requests are the same in
every run; `TESTS_SCHEMA_EXAMPLES` says how many there are of each kind for each operation.
"""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation, BaseSchema

from runtime.wire.addresses import API_PREFIX
from tests.served_estate import ADMINISTRATOR, ServedEstate, serve_estate

EXAMPLES = int(os.environ.get("TESTS_SCHEMA_EXAMPLES", "5"))
CONFIG = {
    "checks": {
        # Rules that JSON Schema cannot say, for instance what is a cron expression, are answered with 400.
        "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404", "409"]}
    },
    # Unknown parameters are ignored, so that older and newer clients and daemons understand each other.
    "generation": {"deterministic": True, "allow-extra-parameters": False},
}
ENDLESS = {f"GET {API_PREFIX}/v1/workspaces/{{workspace_id}}/events"}
HEADERS = {"Authorization": f"Bearer {ADMINISTRATOR}"}
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def served() -> Iterator[ServedEstate]:
    with serve_estate() as estate:
        yield estate


@pytest.fixture(scope="module")
def schema(served: ServedEstate) -> BaseSchema:
    document = served.estate.app.openapi_schema.to_schema()
    loaded = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(CONFIG))
    ids = served.tenant.ids

    @loaded.hook
    def map_case(context: object, case: "Case[Any]") -> "Case[Any]":
        """Most paths lead somewhere, unless being wrong is what they are for."""
        part = case.meta.components.get(ParameterLocation.PATH) if case.meta else None
        if case.path_parameters and part is not None and part.mode == GenerationMode.POSITIVE:
            for name, value in case.path_parameters.items():
                if name in ids and (name.endswith("workspace_id") or len(str(value)) % 4):
                    case.path_parameters[name] = ids[name]
        return case

    return loaded


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_no_request_breaks_the_server_or_the_document(
    served: ServedEstate, schema: BaseSchema, mode: GenerationMode
) -> None:
    failures: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if operation.label not in ENDLESS:
            ask(served, operation, mode, statuses, failures)
    assert not failures, "\n\n".join(failures.values())
    # The requests got past the doors, both ways.
    assert statuses.keys() >= ({200, 201, 204, 400, 404} if mode == GenerationMode.POSITIVE else {400, 401, 404})


def ask(
    served: ServedEstate,
    operation: APIOperation,  # type: ignore[type-arg]
    mode: GenerationMode,
    statuses: Counter[int],
    failures: dict[str, str],
) -> None:
    def check(case: "Case[Any]") -> None:
        answer = case.call(base_url=served.url, headers=HEADERS)
        statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, headers=HEADERS)
        except (Failure, FailureGroup) as failure:
            request = case.as_curl_command()
            failures.setdefault(
                f"{operation.label} {failure}", f"{operation.label}\n{failure}\n{request}\n{answer.text}"
            )

    try:
        given(operation.as_strategy(generation_mode=mode))(SETTINGS(lambda case: check(case)))()
    except Unsatisfiable:
        assert mode == GenerationMode.NEGATIVE  # it takes nothing that could be wrong
