"""The examples' loads after one that was cut short, whose packages are left in the pipeline's own files."""

from pathlib import Path

import pytest

from tests.official_client import copy_workspace
from tests.processes import REPOSITORY, Ended, plain_environment, run

CUT_SHORT = """
import os
from dlt import Pipeline
Pipeline.load = lambda *_, **__: os._exit(9)
"""
SHOP = """
from fruitshop_pipeline import load_shop
load_shop()
"""
WINDOW = """
import dlt.hub.run
from datetime import datetime, timezone
from earthquakes_pipeline import ingest
start, end = (datetime(2026, 11, 2, hour, tzinfo=timezone.utc) for hour in (8, {end}))
ingest({{"run_id": "1", "trigger": "manual:", "refresh": False, "interval_start": start, "interval_end": end}})
"""


@pytest.mark.parametrize(
    ("example", "first", "then", "said"),
    [
        pytest.param("fruitshop", SHOP, SHOP, "the shop is loaded", id="fruitshop"),
        pytest.param("earthquakes", WINDOW.format(end=9), WINDOW.format(end=10), "120 earthquakes", id="earthquakes"),
    ],
)
def test_a_load_after_one_that_was_cut_short_loads_all_that_it_is_asked_for(
    tmp_path: Path, virtualenv: Path, example: str, first: str, then: str, said: str
) -> None:
    workspace = copy_workspace(REPOSITORY / "examples" / example, tmp_path / example)

    def python(code: str) -> Ended:
        return run([str(virtualenv / "bin/python"), "-c", code], cwd=workspace, environment=plain_environment())

    python(first).expect()  # dlt begins anew where nothing has been loaded yet
    python(CUT_SHORT + first).expect(9)

    assert said in python(then).expect().out
