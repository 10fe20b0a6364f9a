"""What may be in a configuration and what in a deployment."""

import pytest

from runtime.domain.packages import PackageFile
from runtime.errors import InvalidError
from runtime.packages.archive import check_configuration_paths, check_deployment_paths, configuration_source
from tests.package_factory import digest


def entry(path: str, linkname: str | None = None) -> PackageFile:
    return PackageFile(relative_path=path, size_bytes=0, sha3_256=digest(b""), linkname=linkname)


def test_a_configuration_holds_settings_and_secrets_at_any_depth() -> None:
    check_configuration_paths(
        [entry("config.toml"), entry("prod.secrets.toml"), entry("team/config.toml"), entry("myconfig.toml")]
    )


@pytest.mark.parametrize("path", [".workspace", "config.toml.py", "config.toml/x", "secrets.TOML", ".var/prod/state"])
def test_a_configuration_with_anything_else_is_refused(path: str) -> None:
    with pytest.raises(InvalidError, match="is neither a") as caught:
        check_configuration_paths([entry("secrets.toml"), entry(path)])
    assert f"`{path}`" in caught.value.message


def test_a_link_between_settings_has_the_other_files_content() -> None:
    files = [entry("team.secrets.toml"), entry("prod.secrets.toml", "next.secrets.toml")]
    files.append(entry("next.secrets.toml", "./team.secrets.toml"))
    check_configuration_paths(files)
    assert configuration_source(files, "prod.secrets.toml") is files[0]
    assert configuration_source(files, "team.secrets.toml") is files[0]


@pytest.mark.parametrize("target", ["missing.secrets.toml", ".", "team", "team/config.toml/x"])
def test_a_link_to_no_file_of_the_configuration_is_refused(target: str) -> None:
    files = [entry("team/config.toml"), entry("prod.secrets.toml", target)]
    with pytest.raises(InvalidError, match="leads to no file") as caught:
        check_configuration_paths(files)
    assert "`prod.secrets.toml`" in caught.value.message


@pytest.mark.parametrize(
    ("path", "linkname"),
    [
        (".dlt", "src"),
        (".dlt", None),
        (".dlt/prod.secrets.toml", None),
        (".dlt/deep/config.toml", None),
        (".dlt/.workspace", None),
        (".dlt/.var", "../src"),
        (".dlt/.var/prod/pipelines/x", None),
        (".dlt/data/prod/x.duckdb", None),
        (".dlt/state", None),
        (".dlt/toolkits", "../src"),
        ("_local", "src"),
        ("_local", None),
        ("_local/prod", "../src"),
    ],
)
def test_a_deployment_leaves_the_places_of_a_run_alone(path: str, linkname: str | None) -> None:
    with pytest.raises(InvalidError) as caught:
        check_deployment_paths([entry("pipeline.py"), entry(path, linkname)])
    assert f"`{path}`" in caught.value.message
    assert caught.value.code == "package"


def test_a_deployment_may_have_other_files_near_those_places() -> None:
    check_deployment_paths(
        [entry("config.toml"), entry(".dlt/.toolkits"), entry("_local/dev/x.duckdb"), entry("_local/dev/l", "x.duckdb")]
    )
