"""What is said of runs."""

from datetime import timedelta

from tests.factories import NOW
from tests.time_zones import time_zone
from tests.unit.tui.test_tui_estate import make_response, make_script
from tui.wording import window_text


def test_the_window_of_a_run_is_told_in_this_machines_time_zone() -> None:
    run = make_response(make_script("load"), interval_start=NOW, interval_end=NOW + timedelta(days=1))
    with time_zone("Asia/Kolkata"):
        assert window_text(run) == "2026-03-10 17:30 to 2026-03-11 17:30"
