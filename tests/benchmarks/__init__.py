"""Measurements on real daemons, each beside a floor taken in the same run: `python -m tests.benchmarks [NAME ...]`.

They print ratios and judge nothing; the machine is as noisy as it is. Run them as an ordinary user on a quiet machine.
"""
