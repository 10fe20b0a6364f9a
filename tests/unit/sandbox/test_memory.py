"""What is counted as a sandbox's memory; `test_limits.py` has sandboxes."""

import os

from runtime.sandbox.memory import used_memory


def test_a_sandbox_that_is_still_being_made_does_not_answer_for_the_machines_directories() -> None:
    """Its processes have the machine's root then, and the machine's `/tmp` is no job's memory."""
    there = os.statvfs("/")
    assert (there.f_blocks - there.f_bfree) * there.f_frsize > 0
    without = used_memory(os.getpid(), (), 2**62)
    assert used_memory(os.getpid(), ("/",) * 10_000, 2**62) < without * 2
