"""`[metrics] listen`: a listener that serves the numbers and nothing else."""

from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from runtime.settings import MetricsSettings, Settings
from runtime.wire.addresses import API_PREFIX
from tests.processes import DaemonProcess

TOKEN = "let-me-see"


@pytest.mark.parametrize("token", [None, TOKEN])
def test_it_serves_the_numbers_alone_without_a_token_only_where_there_is_none(
    tmp_path_factory: pytest.TempPathFactory, token: str | None
) -> None:
    settings = {"METRICS__LISTEN": "127.0.0.1:0", **({"METRICS__TOKEN": token} if token else {})}
    daemon = DaemonProcess(tmp_path_factory.mktemp("daemon"), settings).start()
    try:
        (ready,) = [event for event in daemon.events() if event.get("action") == "daemon.ready"]
        url = f"http://{ready['metrics']}"
        bare = httpx.get(f"{url}/metrics")
        assert bare.status_code == (401 if token else 200)
        known = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert known.status_code == (200 if token else 401)
        assert "dlt_runtime_queue_length 0.0" in (known if token else bare).text
        for path in ("/", "/health/live", "/login", f"{API_PREFIX}/v1/ping", "/metrics/", "/apps/x/"):
            assert httpx.get(url + path).status_code == 404, path
        assert httpx.get(f"{daemon.url}/metrics").status_code == 401
    finally:
        daemon.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "[::]"])
def test_beyond_loopback_it_needs_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="token"):
        MetricsSettings(listen=f"{host}:9100")
    settings = Settings(state_dir=tmp_path, metrics={"listen": f"{host}:9100", "token": TOKEN})
    assert settings.metrics.address == (host.strip("[]"), 9100)
