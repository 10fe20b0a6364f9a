"""`python -m tests.chaos [--seed N] [--runs N] [--kills N]`: the long storm, as an ordinary user; says what it saw."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.moments import can_trace, moments
from tests.chaos.storm import storm
from tests.chaos.work import plan


def main() -> int:
    """Returns 1 if a promise was broken."""
    options = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--kills", type=int, default=100)
    given = options.parse_args()
    if not (traced := can_trace()):
        print("without strace, or not allowed to use it: no kills at system calls")
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        chosen = moments(given.seed, given.kills, traced=traced)
        seen = storm(Path(folder), plan(given.seed, given.runs), chosen, lambda line: print(line, flush=True))
        print(seen)
        if seen.wrong:
            print((Path(folder) / "daemon.log").read_text()[-20_000:], file=sys.stderr)
    return bool(seen.wrong)


if __name__ == "__main__":
    sys.exit(main())
