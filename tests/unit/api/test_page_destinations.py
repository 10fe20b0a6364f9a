"""Where a sign-in goes on to: pages of ours, whatever a request says."""

from uuid import UUID

import pytest

from runtime.api.pages.destinations import Destination

WORKSPACE = str(UUID(int=7))


def test_a_code_in_any_spelling_leads_to_its_page() -> None:
    destination = Destination.read("bcdf 2345", None)
    assert destination.path == "/activate?user_code=BCDF-2345"
    assert destination.sign_in_path == "/login?user_code=BCDF-2345"
    assert Destination.from_note(destination.note) == destination


def test_a_workspace_leads_to_its_page() -> None:
    destination = Destination.read(None, WORKSPACE)
    assert destination.path == f"/w/{WORKSPACE}"
    assert destination.sign_in_path == f"/login?workspace={WORKSPACE}"
    assert Destination.from_note(destination.note) == destination


@pytest.mark.parametrize(
    "text",
    ["", "https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "../..", "BCDF-2345&x"],
)
def test_nothing_else_leads_anywhere(text: str) -> None:
    for destination in (Destination.read(text, text), Destination.from_note(text)):
        assert destination.path in ("/activate", "/activate?user_code=BCDF-2345")
        assert destination.sign_in_path in ("/login", "/login?user_code=BCDF-2345")
