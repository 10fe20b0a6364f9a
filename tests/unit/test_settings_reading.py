"""What settings are taken from the file and the environment, and what is said of others."""

from pathlib import Path

import pytest

from runtime.errors import InvalidError
from runtime.settings import MIB
from runtime.settings_reading import load_settings


def refusal(tmp_path: Path, text: str | bytes = "") -> str:
    """What is said of a settings file, or of the environment."""
    file = tmp_path / "config.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidError) as caught:
        load_settings(file)
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("state_dri = '/srv'", "`state_dri`: there is no such setting; did you mean `state_dir`?"),
        ("[runs]\nmax_runing = 3", "`runs.max_runing`: there is no such setting; did you mean `max_running`?"),
        ("[machines.small]\nmemry = 3", "`machines.small.memry`: there is no such setting; did you mean `memory`?"),
        ("qqq = 1", "`qqq`: there is no such setting"),
        ("runs = 3", "`runs`: write it as a table `[runs]`"),
        ("machines = 3", "`machines`: write it as a table `[machines]`"),
        ("trusted_proxies = '10.0.0.0/8'", "`trusted_proxies`: write it as a list"),
        ("listen = 'here'", "`listen`: write it as HOST:PORT"),
        ("public_url = 'https://h/path'", "`public_url`: write it as https://HOST"),
        ("public_url = 'https://h:99999'", "`public_url`: write it as https://HOST"),
        ("public_url = 'https://['", "`public_url`: write it as https://HOST"),
        ("apps.public_url = 'ftp://h'", "`apps.public_url`: write it as https://HOST"),
        ("retention.free_bytes = 'much'", "`retention.free_bytes`: `much` is no size"),
        (b"listen = '\xff'", "is not UTF-8"),
        ("listen = ", "Invalid value"),
    ],
)
def test_a_mistake_in_the_file_is_told_in_its_own_words(tmp_path: Path, text: str | bytes, said: str) -> None:
    message = refusal(tmp_path, text)
    assert said in message
    assert "Value error" not in message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, "listen = 'here'\nlog_level = 'loud'\n[runs]\nmax_running = 0")
    assert all(name in message for name in ("`listen`", "`log_level`", "`runs.max_running`"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DLT_RUNTIME_MAXX", "3", "`DLT_RUNTIME_MAXX`: there is no such setting"),
        ("DLT_RUNTIME_LISTN", "h:1", "did you mean `DLT_RUNTIME_LISTEN`?"),
        ("DLT_RUNTIME_RUN__MAX_RUNNING", "3", "did you mean `DLT_RUNTIME_RUNS`?"),
        (
            "DLT_RUNTIME_RUNS__MAX_RUNING",
            "3",
            "`runs.max_runing`: there is no such setting; did you mean `max_running`?",
        ),
        ("DLT_RUNTIME_ENVIRONMENTS__FIND_LINKS", "/srv/wheels", "lists are JSON in the environment, for example '[\""),
        ("DLT_RUNTIME_TRUSTED_PROXIES", "10.0.0.0/8", "`DLT_RUNTIME_TRUSTED_PROXIES`: lists are JSON"),
        ("DLT_RUNTIME_RUNS", "3 of them", "tables are JSON"),
    ],
)
def test_a_mistake_in_the_environment_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    assert said in refusal(tmp_path)


def test_the_environment_sets_what_is_a_setting_and_may_hold_what_the_command_line_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "URL": "http://h:1",
        "TOKEN": "t",
        "CA_FILE": "/ca.pem",
        "LOG_LEVEL": "debug",
        "RUNS__MAX_RUNNING": "3",
        "MACHINES__SMALL__MEMORY": "512MiB",
        "ENVIRONMENTS__FIND_LINKS": '["/srv/wheels"]',
        "NOTIFY__TARGETS__OPS__URL": "json://h",
        "AUTH": '{"password_length": 20}',
    }.items():
        monkeypatch.setenv(f"DLT_RUNTIME_{name}", value)
    (tmp_path / "empty.toml").touch()
    read = load_settings(tmp_path / "empty.toml")
    assert (read.log_level, read.runs.max_running, read.auth.password_length) == ("debug", 3, 20)
    assert read.machines["small"].memory == 512 * MIB
    assert read.environments.find_links == ("/srv/wheels",)


def test_every_size_may_be_written_with_its_unit(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        """
        runs.log_bytes = "1MiB"
        apps.copy_bytes = "2MiB"
        limits = { package_bytes = "3MiB", configuration_bytes = "4MiB" }
        retention = { log_bytes = "5MiB", environment_bytes = "6MiB", cache_bytes = "7MiB", free_bytes = "8MiB" }
        """
    )
    read = load_settings(file)
    sizes = [
        read.runs.log_bytes,
        read.apps.copy_bytes,
        read.limits.package_bytes,
        read.limits.configuration_bytes,
        read.retention.log_bytes,
        read.retention.environment_bytes,
        read.retention.cache_bytes,
        read.retention.free_bytes,
    ]
    assert sizes == [number * MIB for number in range(1, 9)]
