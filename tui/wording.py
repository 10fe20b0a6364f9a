"""Words and signs for what the screens show. A state is always a word; a sign or a colour only repeats it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from cli.output import times
from cli.output.console import STATUS_STYLES
from cli.output.jobs import short_ref
from cli.output.text import clean
from runtime.sizes import bytes_text
from runtime.wire.jobs import ScriptResponse
from runtime.wire.machine import MachineResponse
from runtime.wire.run_details import DetailedRunResponse
from runtime.wire.runs import FINAL_RUN_STATUSES, RunResponse, RunStatus

SIGNS: Mapping[str, str] = {
    "completed": "✓",
    "succeeded": "✓",
    "failed": "✗",
    "cancelled": "-",
    "cancelling": "-",
    "skipped": "·",
    "running": "▶",
    "starting": "▷",
    "pending": "◌",
    "paused": "‖",
    "archived": "□",
    "never run": " ",
}
STYLES: Mapping[str, str] = {
    **STATUS_STYLES,
    "succeeded": "green",
    "paused": "yellow",
    "archived": "dim",
    "never run": "dim",
}
_BARS = "▁▂▃▄▅▆▇█"


def state_text(state: str) -> str:
    """A state as a sign and its word."""
    return f"{SIGNS.get(state, '?')} {state}"


def state_style(state: str) -> str:
    """How a state looks, where there are colours."""
    return STYLES.get(state, "")


def run_state(run: RunResponse) -> str:
    """As `state_text`; a skip that stands for several says for how many."""
    more = f" x{run.skip_count}" if run.skip_count and run.skip_count > 1 else ""
    return state_text(run.status) + more


class Ended(Protocol):
    """What a character for a run says of it; `duration` in seconds, None where it never began or goes on."""

    @property
    def status(self) -> RunStatus:
        """Its state."""

    @property
    def duration(self) -> int | None:
        """How long it took."""


def sparkline(runs: Iterable[Ended], width: int = 12) -> str:
    """The newest runs, oldest first, one character each: how long the completed ones took, and a sign for others."""
    shown = list(runs)[-width:]
    longest = max((run.duration or 0 for run in shown if run.status == "completed"), default=0)
    return "".join(
        _BARS[min(7, (run.duration or 0) * 8 // (longest + 1))]
        if run.status == "completed"
        else SIGNS.get(run.status, "?")
        for run in shown
    )


def trigger_text(trigger: str | None, job_ref: str) -> str:
    """A trigger without what a person knows: `manual`, `job.success:shop.load`."""
    if not trigger:
        return ""
    return clean("manual" if trigger == f"manual:{job_ref}" else trigger.replace(":jobs.", ":"))


def schedule_text(job: ScriptResponse) -> str:
    """When a job runs, in words, which also say that it is paused; what else starts it where no clock does."""
    return clean(job.schedule_in_words or "") or trigger_text(job.default_trigger, job.job_ref)


def tags_of(job: ScriptResponse) -> str:
    """The tags of a job."""
    tags = (job.job_definition.get("expose") or {}).get("tags") or ()
    return clean(", ".join([tags] if isinstance(tags, str) else [str(tag) for tag in tags]))


def is_starred(job: ScriptResponse) -> bool:
    """Whether the code says that a job stands above the others."""
    return bool((job.job_definition.get("expose") or {}).get("starred"))


def minute_text(at: datetime) -> str:
    """A minute in this machine's time zone: `2026-01-02 04:04`."""
    return times.local(at)[:16]


def window_text(run: RunResponse) -> str:
    """The interval a run is for."""
    if run.interval_start is None or run.interval_end is None:
        return ""
    return f"{minute_text(run.interval_start)} to {minute_text(run.interval_end)}"


def run_seconds(run: RunResponse, now: datetime) -> float | None:
    """How long a run took, or has been going."""
    if run.status in FINAL_RUN_STATUSES or run.time_started is None:
        return run.duration
    return max(0.0, (now - run.time_started).total_seconds())


def duration_text(run: RunResponse, now: datetime) -> str:
    """As `run_seconds`, in words."""
    seconds = run_seconds(run, now)
    return "" if seconds is None else times.duration(seconds)


def reason_text(run: RunResponse) -> str:
    """Why a run ended as it did, on one line."""
    return clean((run.reason or "").replace("\n", " "))


def run_title(run: RunResponse, job_ref: str) -> str:
    """What a run is called."""
    return f"{clean(short_ref(job_ref))} #{run.number}"


def runs_text(count: int) -> str:
    """How many runs: `1 run`, `1,204 runs`."""
    return f"{count:,} run" if count == 1 else f"{count:,} runs"


def run_reference(run: DetailedRunResponse) -> str:
    """A run as commands name it: `shop.load 21`."""
    return f"{short_ref(run.script.job_ref)} {run.number}"


def machine_parts(machine: MachineResponse) -> list[str]:
    """How much memory and disk is left, and what the daemon takes."""
    parts = [
        f"memory {bytes_text(machine.memory_available_bytes)} of {bytes_text(machine.memory_bytes)} free",
        f"disk {bytes_text(machine.disk_free_bytes)} of {bytes_text(machine.disk_bytes)} free",
        f"daemon {bytes_text(machine.daemon_memory_bytes)}",
    ]
    if machine.disk_is_short:
        parts.append("too little disk: new work is refused")
    return parts
