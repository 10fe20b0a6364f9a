"""What is started before a sandbox, so that what runs in it stands behind the daemon. Pure.

It joins its control group, is named to the kernel as the one to end first when the machine itself runs out of memory,
and gets behind the daemon in the queue for the processor. Nothing in a sandbox can take that back: its /proc is
read-only, and its niceness it may only raise.
"""

from pathlib import Path

OOM_SCORE = 800
NICENESS = 5
_NICE = "/usr/bin/nice"

_JOIN = """\
if [ -n "$1" ]; then echo 0 > "$1" || exit 1; fi
shift
echo "$1" > /proc/self/oom_score_adj
shift
exec "$@"
"""


def behind_the_daemon(group: Path | None = None) -> list[str]:
    """What comes before everything else; `group` is the control group to join."""
    joins = str(group / "cgroup.procs") if group else ""
    return ["/bin/sh", "-c", _JOIN, "confine", joins, str(OOM_SCORE), _NICE, "-n", str(NICENESS)]
