"""What `doctor` finds out by trying, on machines that let bubblewrap do nothing: with stand-ins for the programs."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.domain.checks import Check
from runtime.sandbox import tools
from runtime.sandbox.probing import machine_checks

# As these say it on Ubuntu 24.04 (the first two) and on 25.04, which lets `unshare` alone do what it starts may not.
BWRAP_SAYS = "bwrap: setting up uid map: Permission denied"
UNSHARE_SAYS = "unshare: write failed /proc/self/uid_map: Operation not permitted"
MOUNT_SAYS = "mount: /tmp: permission denied."


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Check]]]:
    """Looks at a machine with these scripts in place of its programs, and with these settings of the kernel."""
    programs, sysctls = tmp_path / "bin", tmp_path / "sys"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(tools, "_SYSCTLS", sysctls)

    def look(restricted: int | None = 1, **scripts: str) -> dict[str, Check]:
        for name, script in scripts.items():
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        (sysctls / "kernel").mkdir(parents=True)
        if restricted is not None:
            (sysctls / "kernel" / "apparmor_restrict_unprivileged_userns").write_text(f"{restricted}\n")
        return {check.name: check for check in machine_checks("host")}

    tools.find_tools.cache_clear()
    yield look
    tools.find_tools.cache_clear()


def refuses(words: str) -> str:
    return f"echo {words!r} >&2; exit 1"


UBUNTU_2404_UNSHARE = f'case "$*" in *--map-*) {refuses(UNSHARE_SAYS)};; esac; exit 0'
UBUNTU_2504_UNSHARE = f"""case "$*" in
*" mount "*) echo {MOUNT_SAYS!r} >&2; echo "       dmesg(1) may have more information" >&2; exit 32;;
esac"""


@pytest.mark.parametrize(
    ("unshare", "complaint"), [(UBUNTU_2404_UNSHARE, UNSHARE_SAYS), (UBUNTU_2504_UNSHARE, MOUNT_SAYS)]
)
def test_namespaces_that_apparmor_makes_useless_are_not_well(
    machine: Callable[..., dict[str, Check]], unshare: str, complaint: str
) -> None:
    """There everybody may make one, so that `unshare --user true` ends well; what it is for is what fails."""
    found = machine(bwrap=refuses(BWRAP_SAYS), unshare=unshare)
    check = found["user namespaces"]
    assert check.state == "fail"
    assert "AppArmor" in check.message
    assert complaint in check.message
    assert check.remedy == "sudo ./install.sh --allow-userns"


def test_bubblewrap_that_apparmor_stops_is_named_with_the_command_that_mends_it(
    machine: Callable[..., dict[str, Check]],
) -> None:
    check = machine(bwrap=refuses(BWRAP_SAYS), unshare=UBUNTU_2404_UNSHARE)["bubblewrap"]
    assert check.state == "fail"
    assert BWRAP_SAYS in check.message
    assert "AppArmor" in check.message
    assert check.remedy == "sudo ./install.sh --allow-userns"


def test_apparmor_is_not_blamed_where_its_restriction_is_off(machine: Callable[..., dict[str, Check]]) -> None:
    found = machine(restricted=0, bwrap=refuses(BWRAP_SAYS), unshare=refuses(UNSHARE_SAYS))
    for name in ("user namespaces", "bubblewrap"):
        assert found[name].state == "fail"
        assert "apparmor" not in f"{found[name].message} {found[name].remedy}".lower()


def test_where_apparmor_lets_bubblewrap_through_all_is_well(machine: Callable[..., dict[str, Check]]) -> None:
    """As `--allow-userns` leaves it: nobody but bubblewrap may, and nobody else has to."""
    found = machine(bwrap="exit 0", unshare=UBUNTU_2404_UNSHARE)
    assert (found["user namespaces"].state, found["bubblewrap"].state) == ("ok", "ok")


def test_a_machine_that_lets_ordinary_users_make_namespaces_passes_the_trial(
    machine: Callable[..., dict[str, Check]],
) -> None:
    """With the real `unshare`, and with a bubblewrap that fails for another reason."""
    if subprocess.run(["unshare", "--user", "--map-root-user", "true"], capture_output=True, check=False).returncode:
        pytest.skip("ordinary users may make no user namespaces on this machine")
    found = machine(restricted=None, bwrap=refuses("bwrap: broken"))
    assert (found["user namespaces"].state, found["bubblewrap"].state) == ("ok", "fail")
