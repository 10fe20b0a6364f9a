"""Kills the daemon over and over while it works, then looks whether anything was lost, doubled or left behind.

`python -m tests.chaos` does it at length, `tests/e2e/test_chaos.py` for a minute.

The product knows nothing of this: no switch of it waits for a test. A moment is hit from outside, in three ways: after
a time; when something shows on the disk (the database is written, a working copy appears, a log grows); and exactly at
the N-th system call of a kind, by strace, which kills the daemon as it enters a write to the database, a sync, a mkdir
of a preparation, an unlink after a run's end. A kill at a system call leaves on the disk what was written before it and
nothing after, which is what a crash between two steps means, so these are the moments before and after each step.
"""
