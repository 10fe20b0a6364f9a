"""Where the daemon and the workspace are found, and how that is written down."""

import stat
from pathlib import Path
from uuid import UUID

import pytest

from cli.credentials import MachineToken, StoredTokens, credentials_file, keeper_for
from cli.exit_codes import ExitCode, exit_code_for
from cli.session import GlobalOptions, Session
from cli.workspace.root import find_root
from cli.workspace.settings import read_runtime_table, write_runtime_table
from runtime.errors import InvalidError
from runtime.wire.addresses import default_socket
from runtime.wire.endpoint import parse_endpoint
from runtime.wire.tokens import TokenPair

CONFIG = """\
# how much to load
rows = 5  # per day

[runtime]
log_level = "WARNING"  # quiet

[sources.shop]
seed = 1
"""


def test_the_root_is_the_nearest_directory_with_the_marker(workspace: Path) -> None:
    below = workspace / "sub" / "deep"
    below.mkdir(parents=True)
    assert find_root(below) == workspace
    assert find_root(workspace.parent) is None


def test_writing_the_workspace_id_leaves_the_rest_as_it_is_written(workspace: Path) -> None:
    file = workspace / ".dlt/config.toml"
    file.write_text(CONFIG)
    file.chmod(0o640)
    write_runtime_table(workspace, {"workspace_id": "00000000-0000-4000-8000-000000000009"})
    added = 'log_level = "WARNING"  # quiet\nworkspace_id = "00000000-0000-4000-8000-000000000009"\n'
    assert file.read_text() == CONFIG.replace('log_level = "WARNING"  # quiet\n', added)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert read_runtime_table(workspace).workspace_id == UUID(int=9 + (4 << 76) + (8 << 60))
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".config")] == []


def test_the_file_and_its_table_are_made_where_there_are_none(workspace: Path) -> None:
    (workspace / ".dlt/config.toml").unlink()
    write_runtime_table(workspace, {"workspace_id": "x"})
    assert (workspace / ".dlt/config.toml").read_text() == '[runtime]\nworkspace_id = "x"\n'


@pytest.mark.parametrize("text", ["[runtime\n", '[runtime]\nworkspace_id = "shop"\n'])
def test_settings_that_cannot_be_read_are_named(workspace: Path, text: str) -> None:
    (workspace / ".dlt/config.toml").write_text(text)
    with pytest.raises(InvalidError, match=r"config\.toml"):
        read_runtime_table(workspace)


@pytest.mark.parametrize(
    ("text", "api", "auth"),
    [
        ("http://host:8470", "http://host:8470/api/api", "http://host:8470/api/auth"),
        ("http://host:8470/", "http://host:8470/api/api", "http://host:8470/api/auth"),
        ("https://host/pre/", "https://host/pre/api/api", "https://host/pre/api/auth"),
        ("http://host:8470/api/api", "http://host:8470/api/api", "http://host:8470/api/auth"),
        ("unix:///run/x.sock", "http://dlt-runtime/api/api", "http://dlt-runtime/api/auth"),
    ],
)
def test_an_address_is_read_in_every_spelling(text: str, api: str, auth: str) -> None:
    endpoint = parse_endpoint(text)
    assert (endpoint.api_base, endpoint.auth_base) == (api, auth)
    assert endpoint.needs_login is not text.startswith("unix")


NO_ADDRESSES = (
    "host:8470",
    "",
    "unix://x.sock",
    "ftp://host",
    "http://",
    "http://me:pw@host",
    "http://me:pw@[",
    "http://me:pw@host:abc",
    "http://[",
    "https://x:99999",
    "http://x:abc",
    "http://x/\x01",
    "http://x\ny",
)


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_is_refused_without_repeating_a_password(text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_endpoint(text)
    assert "pw" not in caught.value.message
    assert exit_code_for(caught.value) == ExitCode.USAGE


def test_the_option_is_stronger_than_the_environment_and_that_than_the_settings(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Session().endpoint.socket == default_socket()
    (workspace / ".dlt/config.toml").write_text('[runtime]\napi_base_url = "http://settings:1/api/api"\n')
    assert Session().endpoint.url == "http://settings:1"
    monkeypatch.setenv("DLT_RUNTIME_URL", "http://environment:2")
    assert Session().endpoint.url == "http://environment:2"
    assert Session(GlobalOptions(url="http://option:3")).endpoint.url == "http://option:3"


@pytest.mark.parametrize("url", ["https://dlthub.app/api/api", "https://api.dlthub.com"])
def test_the_managed_service_in_the_settings_is_not_taken_for_a_daemon(workspace: Path, url: str) -> None:
    (workspace / ".dlt/config.toml").write_text(f'[runtime]\napi_base_url = "{url}"\n')
    assert Session().endpoint.socket is not None


@pytest.mark.parametrize(
    "text", ['api_base_url = "http://["', 'api_base_url = "http://x"\nauth_base_url = "http://x:y"']
)
def test_what_is_no_address_in_the_settings_is_refused_as_well(workspace: Path, text: str) -> None:
    (workspace / ".dlt/config.toml").write_text(f"[runtime]\n{text}\n")
    with pytest.raises(InvalidError, match="is not the address of a daemon"):
        _ = Session().endpoint


def test_a_setting_of_the_tables_name_is_not_written_over(workspace: Path) -> None:
    (workspace / ".dlt/config.toml").write_text("runtime = 1\n")
    with pytest.raises(InvalidError, match="is no table"):
        write_runtime_table(workspace, {"workspace_id": "x"})
    assert (workspace / ".dlt/config.toml").read_text() == "runtime = 1\n"


def test_a_file_that_cannot_be_written_is_named(workspace: Path) -> None:
    (workspace / ".dlt").chmod(0o500)
    with pytest.raises(InvalidError, match=r"config\.toml` cannot be written: Permission denied"):
        write_runtime_table(workspace, {"workspace_id": "x"})


def test_tokens_are_kept_by_address_for_their_owner_only(home: Path) -> None:
    one, other = StoredTokens("http://one"), StoredTokens("http://other")
    one.save(TokenPair("a", "r"))
    other.save(TokenPair("b"))
    assert (one.load(), other.load()) == (TokenPair("a", "r"), TokenPair("b"))
    assert credentials_file() == home / ".config/dlt-runtime/credentials.toml"
    assert stat.S_IMODE(credentials_file().stat().st_mode) == 0o600
    one.clear()
    assert (one.load(), other.load()) == (None, TokenPair("b"))


def test_a_credentials_file_that_cannot_be_read_is_named_and_not_shown(home: Path) -> None:
    credentials_file().parent.mkdir(parents=True)
    credentials_file().write_text("access_token = s3cret")
    with pytest.raises(InvalidError) as caught:
        StoredTokens("http://one").load()
    assert str(credentials_file()) in caught.value.message
    assert "s3cret" not in caught.value.message


def test_of_stored_tokens_only_those_that_can_be_sent_are_used(home: Path) -> None:
    credentials_file().parent.mkdir(parents=True)
    for kept, pair in (
        ('access_token = "a"\nrefresh_token = 1', TokenPair("a")),
        ('access_token = 1\nrefresh_token = "r"', None),
        ('access_token = "a\\nb"', None),
        ('access_token = "\u00e9"', None),
    ):
        credentials_file().write_text(f'[daemons."http://one"]\n{kept}\n')
        assert StoredTokens("http://one").load() == pair, kept


def test_a_machines_token_may_end_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_RUNTIME_TOKEN", "machine\n")
    assert keeper_for("http://one").load() == TokenPair("machine")
    monkeypatch.setenv("DLT_RUNTIME_TOKEN", "\n")
    assert isinstance(keeper_for("http://one"), StoredTokens)


@pytest.mark.parametrize("token", ["s3cret\nmore", "s3cr\u00e9t", "s3cret\u2028more"])
def test_a_machines_token_that_cannot_be_sent_is_not_shown(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("DLT_RUNTIME_TOKEN", token)
    with pytest.raises(InvalidError) as caught:
        keeper_for("http://one")
    assert "DLT_RUNTIME_TOKEN" in caught.value.message
    assert "s3cr" not in caught.value.message


def test_a_machines_token_comes_from_the_environment_and_is_never_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_RUNTIME_TOKEN", "machine")
    keeper = keeper_for("http://one")
    assert isinstance(keeper, MachineToken)
    keeper.save(TokenPair("x", "y"))
    assert keeper.load() == TokenPair("machine")
    assert not credentials_file().exists()
