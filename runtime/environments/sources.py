"""Where a build may get packages from: uv's settings as environment variables, and what has to be mounted for them.

By environment and never by arguments, since index addresses may hold credentials and arguments are there for all to
read. The build scripts of source distributions do see them, as with every index that asks for a password: such an
account should be able to read and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from runtime.environments.reasons import Scrubber
from runtime.sandbox.policy import Mount
from runtime.settings import EnvironmentSettings

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_CERTIFICATES = "/opt/dlt-runtime/certificates"
_PACKAGES = "/opt/dlt-runtime/packages"

_UV = {
    "UV_NO_CONFIG": "1",
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_NO_MANAGED_PYTHON": "1",
    "UV_KEYRING_PROVIDER": "disabled",
    "UV_SYSTEM_CERTS": "1",
    "UV_LINK_MODE": "hardlink",
    "UV_COMPILE_BYTECODE": "1",
    "NO_COLOR": "1",
}


@dataclass(frozen=True)
class PackageSources:
    """What a build is told and shown, and what hides its credentials."""

    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    scrub: Scrubber


def package_sources(settings: EnvironmentSettings, environ: Mapping[str, str]) -> PackageSources:
    """uv's environment from the settings and from what the daemon's own environment says of proxies and certificates.

    Directories, also as `file:` addresses, are mounted read-only; the sandbox knows them by other names.
    """
    places = _Places()
    default = (settings.index_url,) if settings.index_url else ()
    variables = {
        "UV_DEFAULT_INDEX": places.shown(default, " "),
        "UV_INDEX": places.shown(settings.extra_index_urls, " "),
        "UV_FIND_LINKS": places.shown(settings.find_links, ","),
    }
    proxies = {name: value for name, value in environ.items() if name.lower() in _PROXY_VARIABLES}
    certificates, certificate_mounts = _certificates(environ)
    return PackageSources(
        environment={**_UV, **proxies, **{name: text for name, text in variables.items() if text}, **certificates},
        mounts=(*places.mounts, *certificate_mounts),
        scrub=Scrubber([*default, *settings.extra_index_urls, *settings.find_links, *proxies.values()]),
    )


class _Places:
    def __init__(self) -> None:
        self.mounts: list[Mount] = []

    def shown(self, urls: Sequence[str], separator: str) -> str:
        """The addresses as the sandbox knows them, joined as uv wants them in a variable."""
        return separator.join(self._shown(url) for url in urls)

    def _shown(self, url: str) -> str:
        directory = _directory(url)
        if directory is None:
            return url
        mount = Mount(source=directory, target=f"{_PACKAGES}/{len(self.mounts)}")
        self.mounts.append(mount)
        return f"file://{mount.target}"


def _directory(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme else Path(url).absolute()


def _certificates(environ: Mapping[str, str]) -> tuple[dict[str, str], list[Mount]]:
    # A machine's own authority: OpenSSL's two variables, shown wherever they point to.
    variables, mounts = {}, []
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = Path(environ.get(name, ""))
        if path.is_absolute() and path.exists():
            target = f"{_CERTIFICATES}/{name}"
            variables[name] = target
            mounts.append(Mount(source=path.resolve(), target=target))
    return variables, mounts
