"""A short storm of kills; `python -m tests.chaos` is the long one (design, decision 4; semantics S1, S2, S5, T4)."""

from pathlib import Path

import pytest

from tests.chaos.moments import can_trace, moments
from tests.chaos.storm import storm
from tests.chaos.work import plan
from tests.processes import needs_jobs

pytestmark = needs_jobs

SEED, RUNS, KILLS = 7, 16, 10


# The HTTP client leaves the socket to the collector where nobody listens, and here often nobody does.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_nothing_is_lost_doubled_or_left_behind_however_often_the_daemon_is_killed(tmp_path: Path) -> None:
    """Every run ends once with its true status, each of its lines is there once, each followup has started once.

    An app is at the same address after each death, and is the same process.
    """
    seen = storm(tmp_path, plan(SEED, RUNS), moments(SEED, KILLS, traced=can_trace()))
    print(seen)
    assert not seen.wrong, "\n".join(seen.wrong)
    assert sum(seen.kills.values()) == KILLS
