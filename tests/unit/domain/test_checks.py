"""What `doctor` makes of what it finds."""

from datetime import UTC, datetime

import pytest

from runtime.domain.checks import CheckState, clock_check, disk_check, inodes_check, kernel_check, namespaces_check

GIB = 1024**3


@pytest.mark.parametrize(
    ("release", "state"),
    [("6.1.0-28-amd64", "ok"), ("5.4.0-1-generic", "ok"), ("5.3.18", "fail"), ("4.19.0-27-amd64", "fail")],
)
def test_the_kernel_must_not_be_too_old(release: str, state: CheckState) -> None:
    assert kernel_check(release).state == state


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("kernel.unprivileged_userns_clone", 0, "kernel.unprivileged_userns_clone=1"),
        ("kernel.apparmor_restrict_unprivileged_userns", 1, "sudo ./install.sh --allow-userns"),
        ("user.max_user_namespaces", 0, "user.max_user_namespaces="),
    ],
)
def test_the_setting_that_forbids_namespaces_is_named_with_its_remedy(setting: str, value: int, words: str) -> None:
    check = namespaces_check({setting: value}, "unshare failed: Operation not permitted")
    assert check.state == "fail"
    assert words in (check.remedy or "")


def test_namespaces_that_work_are_well_whatever_the_settings_say() -> None:
    assert namespaces_check({"kernel.apparmor_restrict_unprivileged_userns": 1}, None).state == "ok"


def test_namespaces_that_fail_for_another_reason_say_which() -> None:
    check = namespaces_check({"user.max_user_namespaces": 15000}, "No space left on device")
    assert check.state == "fail"
    assert "No space left on device" in check.message


@pytest.mark.parametrize(
    ("free", "state"), [(GIB // 8, "fail"), (GIB // 2, "warn"), (2 * GIB, "warn"), (50 * GIB, "ok")]
)
def test_room_on_the_disk_is_judged_by_the_reserve_and_by_its_size(free: int, state: CheckState) -> None:
    assert disk_check("state", free, 100 * GIB, GIB // 4).state == state


@pytest.mark.parametrize(("free", "total", "state"), [(0, 0, "ok"), (10, 10**6, "fail"), (20_000, 10**6, "warn")])
def test_file_systems_that_run_out_of_inodes_are_noticed(free: int, total: int, state: CheckState) -> None:
    assert inodes_check("state", free, total).state == state


def test_ubuntus_restriction_is_told_from_a_kernel_without_it() -> None:
    """Debian 12 has no such setting. What is said where it holds: tests/unit/sandbox/test_probing.py."""
    debian = {"kernel.unprivileged_userns_clone": 1, "user.max_user_namespaces": 127234}
    check = namespaces_check(debian, "unshare: unshare failed: Operation not permitted")
    assert check.state == "fail"
    assert "apparmor" not in f"{check.message} {check.remedy}".lower()


def test_a_kernel_without_any_namespaces_is_named_before_apparmor() -> None:
    """A profile would not help there."""
    settings = {"kernel.apparmor_restrict_unprivileged_userns": 1, "user.max_user_namespaces": 0}
    check = namespaces_check(settings, "unshare: unshare failed: No space left on device")
    assert "user.max_user_namespaces=" in (check.remedy or "")


@pytest.mark.parametrize(
    ("status", "timedatectl", "state", "words"),
    [
        (0x2001, None, "ok", "synchronised; 2025-06-01 12:00:00 UTC"),  # STA_PLL | STA_NANO, of chrony
        (0x0041, None, "warn", "nothing keeps it right"),
        (None, "yes", "ok", "synchronised"),  # under the unit: ProtectClock
        (None, "no", "warn", "nothing keeps it right"),
        (None, "", "ok", "cannot be found out"),
        (None, None, "ok", "cannot be found out"),
    ],
)
def test_a_clock_that_nothing_keeps_right_is_told_from_one_nobody_can_say(
    status: int | None, timedatectl: str | None, state: CheckState, words: str
) -> None:
    check = clock_check(status, timedatectl, datetime(2025, 6, 1, 12, tzinfo=UTC))
    assert check.state == state
    assert words in check.message
