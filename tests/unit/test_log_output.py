"""What gets into the daemon's own log."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import runtime

LOGGING = """
import logging
from runtime.log_output import configure_logging
from runtime.settings import Settings
configure_logging(Settings(log_level={level!r}))
logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
logging.getLogger("uvicorn.error").error("Exception in ASGI application")
logging.getLogger("asyncio").warning("a task was lost")
"""


@pytest.mark.parametrize("level", ["debug", "warning"])
def test_what_strangers_send_that_is_no_http_leaves_no_line(level: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(runtime.__file__).parents[1])}
    words = [sys.executable, "-c", LOGGING.format(level=level)]
    said = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stderr
    assert "Invalid HTTP request" not in said
    assert "Exception in ASGI application" in said
    assert "a task was lost" in said
