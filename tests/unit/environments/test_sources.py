from pathlib import Path

from runtime.environments.sources import package_sources
from runtime.sandbox.policy import Mount
from runtime.settings import EnvironmentSettings


def test_without_settings_uv_asks_its_own_index_and_nothing_is_mounted() -> None:
    sources = package_sources(EnvironmentSettings(), {})
    assert sources.mounts == ()
    assert not {"UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"} & set(sources.environment)


def test_uv_downloads_no_python_reads_no_configuration_and_asks_no_keyring() -> None:
    environment = package_sources(EnvironmentSettings(), {}).environment
    assert environment["UV_PYTHON_DOWNLOADS"] == "never"
    assert environment["UV_NO_CONFIG"] == "1"
    assert environment["UV_KEYRING_PROVIDER"] == "disabled"


def test_addresses_are_passed_by_environment() -> None:
    settings = EnvironmentSettings(
        index_url="https://joe:pw@example.org/simple",
        extra_index_urls=("https://a.example.org/simple", "https://b.example.org/simple"),
        find_links=("https://c.example.org/links", "https://d.example.org/links"),
    )
    environment = package_sources(settings, {}).environment
    assert environment["UV_DEFAULT_INDEX"] == "https://joe:pw@example.org/simple"
    assert environment["UV_INDEX"] == "https://a.example.org/simple https://b.example.org/simple"
    assert environment["UV_FIND_LINKS"] == "https://c.example.org/links,https://d.example.org/links"


def test_directories_are_shown_read_only_under_names_of_ours() -> None:
    settings = EnvironmentSettings(index_url="file:///srv/our%20index", find_links=("/srv/wheels, more",))
    sources = package_sources(settings, {})
    assert sources.mounts == (
        Mount(source=Path("/srv/our index"), target="/opt/dlt-runtime/packages/0"),
        Mount(source=Path("/srv/wheels, more"), target="/opt/dlt-runtime/packages/1"),
    )
    assert sources.environment["UV_DEFAULT_INDEX"] == "file:///opt/dlt-runtime/packages/0"
    assert sources.environment["UV_FIND_LINKS"] == "file:///opt/dlt-runtime/packages/1"


def test_of_the_daemons_environment_only_proxies_and_certificates_are_told(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.touch()
    environ = {
        "HTTPS_PROXY": "http://joe:proxy-pw@proxy:3128",
        "no_proxy": "localhost",
        "SSL_CERT_FILE": str(authority),
        "SSL_CERT_DIR": str(tmp_path / "missing"),
        "UV_INDEX": "https://elsewhere.example.org",
        "SECRET": "1",
    }
    sources = package_sources(EnvironmentSettings(), environ)
    assert sources.environment["HTTPS_PROXY"] == environ["HTTPS_PROXY"]
    assert sources.environment["no_proxy"] == "localhost"
    assert not {"SECRET", "UV_INDEX", "SSL_CERT_DIR"} & set(sources.environment)
    assert sources.mounts == (Mount(source=authority, target=sources.environment["SSL_CERT_FILE"]),)
    assert sources.scrub("denied for joe with proxy-pw") == "denied for joe with ***"
