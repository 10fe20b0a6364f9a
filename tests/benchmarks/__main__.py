"""Run all benchmarks, or those named on the command line."""

import sys
from collections.abc import Callable

from tests.benchmarks.api_requests import api_requests
from tests.benchmarks.apps import idle_app, proxy_of_the_daemon
from tests.benchmarks.clock import next_ticks, start_up, tick_jitter
from tests.benchmarks.deploys import unchanged_deploy
from tests.benchmarks.proxy import proxy_beside_nginx
from tests.benchmarks.runs import first_line, log_latency, log_throughput
from tests.benchmarks.tui import terminal_keys

BENCHMARKS: dict[str, Callable[[], None]] = {
    benchmark.__name__: benchmark
    for benchmark in (
        first_line,
        log_latency,
        log_throughput,
        unchanged_deploy,
        tick_jitter,
        start_up,
        next_ticks,
        api_requests,
        proxy_beside_nginx,
        proxy_of_the_daemon,
        idle_app,
        terminal_keys,
    )
}


def main(names: list[str]) -> int:
    """Run them; returns 2 if a name is none of ours."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"error: no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
