"""Who a request acts as, and what a domain value refuses."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from runtime.domain.identities import Principal, effective_role
from tests.factories import make_run, make_user

HERE, ELSEWHERE = uuid4(), uuid4()


@pytest.mark.parametrize(
    ("is_admin", "limited_to", "membership", "expected"),
    [
        (True, None, None, "owner"),
        (True, None, "viewer", "owner"),
        (False, None, None, None),
        (False, None, "viewer", "viewer"),
        (False, None, "owner", "owner"),
        (False, HERE, "owner", "owner"),
        (False, ELSEWHERE, "owner", None),
        (True, ELSEWHERE, "owner", None),
        (True, HERE, None, "owner"),
    ],
)
def test_administrators_own_all_and_a_token_knows_its_workspace_only(
    is_admin: bool, limited_to: UUID | None, membership: Any, expected: str | None
) -> None:
    """Identity: a machine token sees one workspace, even an administrator's."""
    principal = Principal(user=make_user(), is_admin=is_admin, workspace_id=limited_to)
    assert effective_role(principal, HERE, membership) == expected


def test_a_time_without_offset_is_refused() -> None:
    """Semantics W4: a domain instant carries its offset."""
    with pytest.raises(ValidationError, match="offset"):
        make_run(created_at=datetime(2026, 1, 1))


def test_a_value_never_changes() -> None:
    """The domain's own rule: successors are made, values stay."""
    with pytest.raises(ValidationError, match="frozen"):
        make_run().status = "running"  # type: ignore[misc]
