"""How the HTTP server is set up."""

import httpx

from runtime.server import server_config
from runtime.settings import Settings


def test_a_connection_in_use_now_and_then_is_closed_by_the_client_before_the_server_does() -> None:
    """Else a request may be on its way while the server closes, and is answered with a reset."""
    kept_by_clients = httpx.Limits().keepalive_expiry
    assert kept_by_clients is not None
    assert server_config(None, Settings()).timeout_keep_alive > 2 * kept_by_clients
