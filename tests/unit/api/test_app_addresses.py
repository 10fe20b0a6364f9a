"""What clients are told of where an interactive job is visited: the contract's `script_url` and `public_url`."""

from pathlib import Path
from uuid import UUID

from runtime.api import render
from runtime.api.app import create_app
from runtime.dispatch.jobs import JobView
from runtime.domain.apps import AppAddresses
from runtime.settings import Settings
from runtime.wire.addresses import API_PREFIX
from tests.api_client import JOB, WORKSPACE, client_for, fake_services
from tests.factories import make_job

ADDRESSES = AppAddresses(base_url="http://127.0.0.1:8471")
SECRET = UUID(int=7)


def test_an_app_has_an_address_and_a_published_one_a_link() -> None:
    shown = render.shown_script(JobView(make_job(), "access", None, slug="board-1", public_secret=SECRET), ADDRESSES)
    assert shown.script_url == "http://127.0.0.1:8471/apps/board-1/"
    assert shown.public_url == f"http://127.0.0.1:8471/public/{SECRET}/"


def test_what_is_not_visited_has_neither() -> None:
    shown = render.detailed_script(JobView(make_job(), "prod", None), ADDRESSES)
    assert (shown.script_url, shown.public_url) == (None, None)


async def test_where_every_address_is_listened_on_clients_are_told_of_the_one_they_came_by(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, socket=tmp_path / "s", listen="0.0.0.0:8470")
    hooks = f"{API_PREFIX}/v1/workspaces/{WORKSPACE.id}/scripts/{JOB.job_ref}/hooks"
    async with client_for(create_app(fake_services(), settings), token="owner") as owner:
        came_by = {"Host": "dlt.example:8470"}
        (hook,) = (await owner.get(hooks, headers=came_by)).json()["items"]
        nonsense = (await owner.get(hooks, headers={"Host": "a%b"})).json()["items"]
    assert hook["urls"][0].startswith(f"http://dlt.example:8470/hooks/{WORKSPACE.id}/"), hook
    assert nonsense[0]["urls"][0].startswith("http://0.0.0.0:8470/"), "and no error"
