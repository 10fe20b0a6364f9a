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


@pytest.mark.parametrize("to", ["runs/" + WORKSPACE, "jobs/jobs.shop.load", "pipelines/shop"])
def test_a_run_job_or_pipeline_leads_to_its_page(to: str) -> None:
    destination = Destination.read(None, WORKSPACE, None, to)
    assert destination.path == f"/w/{WORKSPACE}/{to}"
    assert destination.sign_in_path == f"/login?workspace={WORKSPACE}&to={to.replace('/', '%2F')}"
    assert Destination.from_note(destination.note) == destination


@pytest.mark.parametrize(
    "to", ["", None, "runs", "runs/", "runs/a/b", "runs/..%2f", "else/a", "//evil.example", "runs/\n"]
)
def test_of_a_workspace_nothing_else_is_gone_on_to(to: str | None) -> None:
    assert Destination.read(None, WORKSPACE, None, to) == Destination(workspace=WORKSPACE)


@pytest.mark.parametrize(
    "text",
    ["", "https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "../..", "BCDF-2345&x"],
)
def test_nothing_else_leads_anywhere(text: str) -> None:
    for destination in (Destination.read(text, text), Destination.from_note(text)):
        assert destination.path in ("/activate", "/activate?user_code=BCDF-2345")
        assert destination.sign_in_path in ("/login", "/login?user_code=BCDF-2345")


def test_an_app_leads_to_the_page_that_lets_in() -> None:
    destination = Destination.read(None, None, "board-0a1b2c3d", "/x?y=/z&a")
    assert destination.path == "/visit?app=board-0a1b2c3d&to=%2Fx%3Fy%3D%2Fz%26a"
    assert destination.sign_in_path == "/login?app=board-0a1b2c3d&to=%2Fx%3Fy%3D%2Fz%26a"
    assert Destination.from_note(destination.note) == destination


@pytest.mark.parametrize("path", ["", None, "//evil.example", "/\\evil.example", "https://evil.example", "/\r\n", "x"])
def test_within_an_app_only_paths_are_gone_on_to(path: str | None) -> None:
    assert Destination.read(None, None, "board", path) == Destination(app="board", to="/")


@pytest.mark.parametrize("slug", ["evil.example", "a/b", "-a", "A", "a" * 64, "a:80", "a@b"])
def test_only_a_slug_names_an_app(slug: str) -> None:
    assert Destination.read(None, None, slug, "/") == Destination()
    assert Destination.from_note(f"app.{slug}.Lw==").app in ("", "evil")
