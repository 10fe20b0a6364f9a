"""`python -m runtime`: the daemon with settings from file and environment alone."""

import sys

from runtime.daemon import run_daemon
from runtime.errors import JobRuntimeError
from runtime.settings_reading import load_settings


def main() -> int:
    """Run the daemon; returns the exit status."""
    try:
        settings = load_settings()
    except JobRuntimeError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return 2
    return run_daemon(settings)


if __name__ == "__main__":
    sys.exit(main())
