"""The system as a sandbox sees it."""

from pathlib import Path

import pytest

from runtime.sandbox.system_mounts import (
    DNS_FORWARD_4,
    DNS_FORWARD_6,
    hosts_text,
    resolv_text,
    system_view,
    write_system_files,
)


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("nameserver 127.0.0.53\n", f"nameserver {DNS_FORWARD_4}\n"),
        ("", f"nameserver {DNS_FORWARD_4}\n"),
        (
            "# made by somebody\nnameserver 10.0.0.1\nnameserver fd00::1\nsearch corp.example\noptions edns0 ndots:2\n",
            f"nameserver {DNS_FORWARD_4}\nsearch corp.example\noptions edns0 ndots:2\n",
        ),
        ("nameserver fd00::1\n", f"nameserver {DNS_FORWARD_6}\n"),
    ],
)
def test_names_are_asked_of_pasta_with_the_machines_search_domains(host: str, ours: str) -> None:
    assert resolv_text(host) == ours


def test_hosts_are_the_machines_but_for_those_that_mean_itself() -> None:
    host = "127.0.0.1 localhost\n127.0.1.1 box\n::1 box\n10.0.0.5\tdb.corp  db # the database\n\n# nothing\n"
    assert hosts_text(host).splitlines() == [
        "127.0.0.1 localhost job",
        "::1 localhost ip6-localhost ip6-loopback",
        "10.0.0.5 db.corp db",
    ]


def test_our_own_files_are_shown_in_etc(tmp_path: Path) -> None:
    write_system_files(tmp_path, isolated_network=True)
    targets = {mount.target: mount.source for mount in system_view(tmp_path).mounts}
    for name in ("passwd", "group", "hosts", "nsswitch.conf", "resolv.conf"):
        assert targets[f"/etc/{name}"] == tmp_path / name
    assert "job:x:1000:1000" in (tmp_path / "passwd").read_text()


def test_files_that_are_as_they_should_be_are_not_written_again(tmp_path: Path) -> None:
    """A start on a full disk has no room for them twice."""
    write_system_files(tmp_path, isolated_network=True)
    (tmp_path / "hosts").write_text("something else")
    (tmp_path / "group").chmod(0o600)
    before = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    write_system_files(tmp_path, isolated_network=True)
    after = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"hosts", "group"}
    assert (tmp_path / "hosts").read_text() != "something else"


def test_in_the_machines_own_network_its_resolver_is_used(tmp_path: Path) -> None:
    write_system_files(tmp_path, isolated_network=True)
    write_system_files(tmp_path, isolated_network=False)
    assert not (tmp_path / "resolv.conf").exists()
    assert tmp_path / "resolv.conf" not in {mount.source for mount in system_view(tmp_path).mounts}


def test_everything_of_the_system_is_read_only_and_private_keys_are_not_in_it(tmp_path: Path) -> None:
    write_system_files(tmp_path, isolated_network=True)
    view = system_view(tmp_path)
    assert not any(mount.writable for mount in view.mounts)
    targets = {mount.target for mount in view.mounts}
    assert not targets & {"/", "/etc", "/etc/ssl", "/etc/ssl/private", "/etc/shadow", "/root", "/home", "/var", "/run"}


def test_an_interpreter_under_usr_needs_nothing_more(tmp_path: Path) -> None:
    write_system_files(tmp_path, isolated_network=True)
    assert system_view(tmp_path, Path("/usr")) == system_view(tmp_path)


def test_an_interpreter_elsewhere_is_shown_at_its_own_place_also_by_its_other_name(tmp_path: Path) -> None:
    files = tmp_path / "etc"
    write_system_files(files, isolated_network=True)
    real = tmp_path / "pythons" / "3.12.1"
    real.mkdir(parents=True)
    alias = real.parent / "3.12"
    alias.symlink_to("3.12.1")
    bare, view = system_view(files), system_view(files, alias)
    assert [(m.source, m.target) for m in view.mounts if m not in bare.mounts] == [(real, str(real))]
    assert [(link.path, link.target) for link in view.links if link not in bare.links] == [(str(alias), "3.12.1")]
