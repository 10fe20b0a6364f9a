"""A year of fifty jobs in simulated time, and the laws that hold all through it.

One seed is in the suite; `SIMULATION_SEEDS=2,3,4` tells more stories, `SIMULATION_DAYS=60` shorter ones.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from runtime.domain.ranges import coalesce
from runtime.domain.runs import FINAL_STATUSES, Run
from runtime.domain.ticks import PUNCTUAL, cron_floor
from runtime.domain.triggers import Trigger, parse_trigger
from runtime.store.columns import from_micros
from tests.simulation.freshness_model import stale_gates
from tests.simulation.journal import Entry, History
from tests.simulation.replay import (
    Model,
    Replay,
    Windows,
    first_tick,
    kind_of,
    ticks_between,
    window,
)
from tests.simulation.simulator import Story, live_through

SEEDS = [int(seed) for seed in os.environ.get("SIMULATION_SEEDS", "1").split(",")]
DAYS = int(os.environ.get("SIMULATION_DAYS", "365"))


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed {seed}")
def history(request: pytest.FixtureRequest) -> History:
    """The year."""
    return live_through(Story(seed=request.param, days=DAYS))


def events(replay: Replay) -> Iterator[list[Entry]]:
    """The entries of each event; the model is as after them."""
    found: list[Entry] = []
    for entry in replay.entries():
        if entry.kind == "event" and found:
            yield found
            found = []
        found.append(entry)
    yield found


def last_model(history: History) -> Model:
    """How it all ended."""
    replay = Replay(history)
    for _ in replay.entries():
        pass
    return replay.model


def test_much_happened(history: History) -> None:
    """The laws below would hold of an empty year too."""
    share = DAYS / 365
    statuses: Counter[str] = Counter(run.status for run in history.runs.values())
    assert statuses["completed"] > 15_000 * share
    assert all(statuses[status] > floor * share for status, floor in [("failed", 1000), ("skipped", 500)])
    outcomes = {run.outcome for run in history.runs.values() if run.outcome}
    assert outcomes == {
        "skipped_already_covered",
        "skipped_concurrency_limit",
        "skipped_fresh",
        "skipped_out_of_interval",
        "skipped_upstream_pending",
    }
    causes = {entry.cause for entry in history.entries}
    assert {"tick", "end", "launch", "cancel", "pause", "override", "deploy", "archive", "down", "up"} <= causes


def test_no_tick_is_lost_or_doubled(history: History) -> None:
    """Semantics T1-T3, T8, W5: a tick is taken on time, or with all that were missed as soon as that can be."""
    replay = Replay(history)
    model = replay.model
    watched: dict[tuple[str, str], datetime] = {}  # since when a trigger could be taken on time

    def oldest(key: tuple[str, str]) -> datetime | None:
        return _next_tick(
            parse_trigger(key[1]), model.definitions[key[0]].timezone, model.since[key], model.taken.get(key)
        )

    before: Entry | None = None
    for found in replay.entries():
        if found.kind == "event":
            if before is not None and before.cause not in ("tick", "end"):
                keys = {(ref, text) for ref in model.definitions for text in model.watched(ref)}
                watched = {key: watched.get(key, before.at) for key in keys if not model.is_down}
            if found.cause not in ("tick", "end"):
                for key, since in watched.items():
                    due = oldest(key)
                    assert due is None or max(due, since) >= found.at, f"{key} should have been taken at {due}"
            before = found
        elif found.kind == "tick":
            key = replay.subject(found)[0], found.detail or ""
            due = oldest(key)
            assert due is not None
            assert found.at == max(due, watched[key]), f"{key} came at {found.at}, was due at {due}"
            taken = from_micros(found.after)
            assert taken == _tick_for(parse_trigger(key[1]), model.definitions[key[0]].timezone, due, found.at)


def _next_tick(trigger: Trigger, zone: str, since: datetime, taken: datetime | None) -> datetime | None:
    if trigger.at is not None:
        return trigger.at if taken is None else None
    if trigger.period_seconds is not None:
        return (taken or since) + timedelta(seconds=trigger.period_seconds)
    return next(ticks_between(trigger, zone, taken or since, datetime.max.replace(tzinfo=since.tzinfo)), None)


def _tick_for(trigger: Trigger, zone: str, due: datetime, now: datetime) -> datetime | None:
    if trigger.type == "schedule":
        return cron_floor(trigger.expression, zone, now)
    return now if trigger.type == "every" and now - due >= PUNCTUAL else due


def test_every_taken_tick_is_one_run_or_one_skip(history: History) -> None:
    """Semantics D7: nothing is taken in silence, nothing twice; parallel intervals may be several runs of one tick."""
    replay = Replay(history)
    for found in events(replay):
        if found[0].cause != "tick":
            continue
        taken = Counter((replay.subject(one)[0], one.detail) for one in found if one.kind == "tick")
        told: Counter[tuple[str, str | None]] = Counter()
        for one in found:
            ref, run = replay.subject(one)
            if run is not None and one.kind in ("run", "fold"):
                told[ref, run.trigger] += 1
        parallel = {key for key in told if key[0].startswith("jobs.parallel.")}
        assert {key: times for key, times in told.items() if key not in parallel} == {
            key: times for key, times in taken.items() if key not in parallel
        }, found[0].at
        assert all(told[key] >= 1 for key in taken)


def test_no_tick_runs_twice(history: History) -> None:
    """Semantics D3: a tick whose run had to wait runs once when it may."""
    ran = Counter(
        (run.job_ref, run.trigger, run.scheduled_at)
        for run in history.runs.values()
        if run.status != "skipped" and run.scheduled_at and not run.job_ref.startswith("jobs.parallel.")
    )
    assert {key: times for key, times in ran.items() if times > 1} == {}


def test_windows_are_continuous_and_disjoint(history: History) -> None:
    """Semantics W1, W2: each success begins where the last one ended; a manual repeat lies within what is done."""
    replay = Replay(history)
    model = replay.model
    seen: Counter[str] = Counter()
    for ref, run, _ in _successes(replay):
        definition, (start, end) = model.definitions[ref], window(run)
        kind, mark = kind_of(definition), model.marks.get(ref)
        is_late = ref in model.refreshing and not run.refresh  # it began before a refresh, and completes nothing
        if kind not in ("W1", "W2") or start == end or is_late or (kind == "W1" and definition.concurrency != 1):
            continue
        seen[kind] += 1
        if run.triggered_by is not None and mark is not None and end <= mark:
            continue
        if mark is not None:
            assert start == mark, f"{ref}#{run.number} covers {start} to {end}, done was {mark}"
        elif kind == "W2":
            assert start == first_tick(definition), f"{ref}#{run.number} begins at {start}"
    assert set(seen) == {"W1", "W2"}
    assert {ref: mark for ref, mark in history.marks.items() if mark} == {
        ref: mark for ref, mark in model.marks.items() if kind_of(model.definitions[ref]) != "W3"
    }


def _successes(replay: Replay) -> Iterator[tuple[str, Run, Entry]]:
    for entry in replay.entries():
        ref, run = replay.subject(entry)
        if run is not None and entry.kind == "status" and entry.after == "completed":
            yield ref, run, entry


def test_every_discrete_tick_is_done_once_or_open(history: History) -> None:
    """Semantics W3: windows are single ticks; none is done twice between refreshes, and in order unless parallel."""
    replay = Replay(history)
    model, windows = replay.model, Windows(history.now)
    known = {ref: set(windows.all(one)) for ref, one in last_model(history).definitions.items() if kind_of(one) == "W3"}
    for entry in replay.entries():
        ref, run = replay.subject(entry)
        if run is None or run.status == "skipped" or ref not in known or entry.kind != "run":
            continue
        covered, done = window(run), set() if run.refresh and ref not in model.refreshing else model.done[ref]
        assert covered in known[ref], f"{ref}#{run.number} covers {covered}, which is no tick"
        underway = {window(history.runs[other]) for other in model.active[ref]}
        elapsed = windows.elapsed(model.definitions[ref], entry.at)
        if covered in done:
            assert run.triggered_by is not None, f"{ref}#{run.number} does {covered} again"
            assert covered == elapsed[-1]
        assert covered not in underway
        if not ref.startswith("jobs.parallel.") and covered not in done:
            assert covered == next(one for one in elapsed if one not in done), f"{ref}#{run.number} is out of order"
    for ref in known:
        assert list(coalesce(model.done[ref])) == history.completed.get(ref, []), ref


def test_discrete_jobs_keep_up(history: History) -> None:
    """Semantics W3, W5: what is open at the end is new, or the job was kept from it."""
    model, windows = last_model(history), Windows(history.now)
    recently = history.now - timedelta(days=40)
    anew = {history.refs[entry.subject] for entry in history.entries if entry.kind == "clear" and entry.at > recently}
    for ref, definition in model.live().items():
        if kind_of(definition) != "W3" or ref in model.paused or definition.freshness or ref in anew:
            continue
        old = windows.elapsed(definition, history.now - timedelta(days=6))
        assert set(old) <= model.done[ref], ref


def test_a_gated_job_never_ran_on_stale_input(history: History) -> None:
    """Semantics F1, F2, D3: at the moment it started, every gate was met; unless somebody said not to look."""
    replay = Replay(history)
    model, windows = replay.model, Windows(history.now)
    seen = 0
    for entry in replay.entries():
        ref, run = replay.subject(entry)
        if entry.kind != "run" or run is None or run.status == "skipped":
            continue
        definition = model.definitions[ref]
        if not definition.freshness or (entry.cause == "launch" and "ungated" in (entry.cause_detail or "")):
            continue
        seen += 1
        stale = stale_gates(model, windows, definition, window(run), entry.at)
        assert stale == [], f"{ref}#{run.number} at {entry.at}"
    assert seen > 1000 * DAYS / 365


def test_a_job_that_waits_for_its_batch_runs_when_that_is_done(history: History) -> None:
    """Semantics D3: when the last upstream it waited for has settled, and all is fresh, a waiting job starts."""
    replay = Replay(history)
    model, windows = replay.model, Windows(history.now)
    waiting: dict[str, int] = {}
    started = in_vain = 0
    for found in events(replay):
        told = set()
        for one in found:
            ref, run = replay.subject(one)
            if run is None or one.kind not in ("run", "fold"):
                continue
            told.add(ref)
            if run.status != "skipped" or found[0].cause == "tick":
                started += waiting.pop(ref, 0) and run.status != "skipped"
            if run.outcome == "skipped_upstream_pending" and found[0].cause == "tick":
                waiting[ref] = one.seq
        ended = {replay.subject(one)[0] for one in found if one.kind == "status" and one.after in FINAL_STATUSES}
        for ref in list(waiting):  # an upstream before whoever waits for it, as they were decided on
            definition = model.definitions[ref]
            upstreams = {gate.partition(":")[2] for gate in definition.freshness}
            if not upstreams & ended or any(model.active[one] or one in waiting for one in upstreams):
                continue
            del waiting[ref]
            ended.add(ref)
            in_vain += 1
            if ref in model.live() and ref not in told:
                now = found[0].at
                stale = stale_gates(model, windows, definition, (now, now), now)
                assert stale, f"{ref} has waited, nothing keeps it from running at {now}"
    assert started > 300 * DAYS / 365
    assert in_vain > 10 * DAYS / 365


def test_a_refresh_reaches_exactly_its_targets(history: History) -> None:
    """Semantics R1: by `--refresh` or a success of an `always` job, over freshness and success edges, up to `block`."""
    replay = Replay(history)
    model = replay.model
    reached = 0
    cleared: set[str] = set()
    wanted: set[str] = set()
    perhaps: set[str] = set()
    for entry in replay.entries():
        ref, run = replay.subject(entry)
        if entry.kind == "event":
            assert wanted <= cleared <= wanted | perhaps, f"before {entry.at}"
            reached += len(cleared)
            cleared, wanted, perhaps = set(), set(), set()
        elif entry.kind == "clear":
            cleared.add(ref)
        elif run is None:
            continue
        elif entry.kind == "status" and entry.after == "completed" and model.definitions[ref].refresh == "always":
            wanted |= model.downstream(ref)
        elif entry.kind == "run" and run.status != "skipped" and run.refresh and run.triggered_by is not None:
            asked = entry.cause == "launch" and "refresh" in (entry.cause_detail or "")
            targets = model.downstream(ref) | {ref}
            if asked and model.definitions[ref].refresh != "block":
                wanted |= targets
            elif entry.cause == "end":  # it was asked for, and had to wait
                perhaps |= targets
    assert reached > 20 * DAYS / 365


def test_a_refresh_is_carried_until_a_success_spends_it(history: History) -> None:
    """Semantics R1, R2: a cleared job's runs refresh until one succeeds; no others do unless they were told to."""
    replay = Replay(history)
    model = replay.model
    for entry in replay.entries():
        ref, run = replay.subject(entry)
        if entry.kind == "run" and run is not None and run.status != "skipped":
            if ref in model.refreshing or model.definitions[ref].refresh == "always":
                assert run.refresh, f"{ref}#{run.number}"
            elif run.refresh:
                assert run.triggered_by is not None, f"{ref}#{run.number}"
        elif entry.kind == "spent":
            assert entry.cause == "end"
            assert ref not in model.refreshing, f"{ref} at {entry.at}"
    assert model.refreshing == history.pending


def test_followers_start_exactly_once_for_each_end(history: History) -> None:
    """Semantics T4: one run or skip for each follower and end, with the upstream as its cause; cancels fire nothing."""
    replay = Replay(history)
    model = replay.model
    seen = 0
    wanted: Counter[tuple[str, str]] = Counter()
    told: Counter[tuple[str, str]] = Counter()
    upstream: UUID | None = None
    for entry in replay.entries():
        ref, run = replay.subject(entry)
        if entry.kind == "event":
            assert told == wanted, f"before {entry.at}"
            wanted, told, upstream = Counter(), Counter(), None
        elif run is None:
            continue
        elif entry.kind == "status" and entry.after in ("completed", "failed"):
            upstream = run.id
            trigger = f"job.{'success' if entry.after == 'completed' else 'fail'}:{ref}"
            wanted.update((one.job_ref, trigger) for one in model.live().values() if trigger in one.declared_triggers)
        elif entry.kind in ("run", "fold") and run.trigger.startswith("job.") and entry.cause != "launch":
            if run.prev_run_id and history.runs[run.prev_run_id].job_ref != run.trigger.partition(":")[2]:
                continue  # the next interval of the same job
            if entry.kind == "run" and run.prev_run_id != upstream:
                assert run.prev_run_id is not None, f"{ref}#{run.number} does not say what it follows"
                continue  # it had to wait for another of its batch
            told[ref, run.trigger] += 1
            seen += 1
    assert seen > 2000 * DAYS / 365


def test_a_deployment_starts_its_jobs_once(history: History) -> None:
    """Semantics T6."""
    replay = Replay(history)
    for found in events(replay):
        started = [run for one in found if (run := replay.subject(one)[1]) and one.kind == "run"]
        deployed = Counter(run.job_ref for run in started if run.trigger == "deployment:")
        if found[0].cause != "deploy":
            assert not deployed
        assert all(times == 1 for times in deployed.values())


def test_numbers_are_dense(history: History) -> None:
    """Semantics S1: a job's runs, skipped ones too, count from 1 in the order in which they were made."""
    order: dict[str, list[int]] = defaultdict(list)
    for entry in history.entries:
        if entry.kind == "run":
            run = history.runs[entry.subject]
            order[run.job_ref].append(run.number)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in order.values())
    assert sum(map(len, order.values())) == len(history.runs)


def test_final_states_never_change(history: History) -> None:
    """Semantics S1: the store refused any change (see `journal`); every run took steps that exist, and ended once."""
    steps: dict[UUID, list[str]] = defaultdict(list)
    for entry in history.entries:
        if entry.kind in ("run", "status"):
            steps[entry.subject].append(entry.after)
    for run_id, taken in steps.items():
        run = history.runs[run_id]
        assert taken[-1] == run.status
        assert sum(status in FINAL_STATUSES for status in taken) == run.is_final
        assert taken[0] in ("pending", "skipped")
        assert (run.ended_at is not None) == run.is_final
        assert run.started_at is None or run.created_at <= run.started_at <= (run.ended_at or history.now)


def test_concurrency_is_never_exceeded(history: History) -> None:
    """Semantics D5, W2: no job has more active runs than it allows, and a job with a pointer only ever one."""
    replay = Replay(history)
    model = replay.model
    most: Counter[str] = Counter()
    for entry in replay.entries():
        ref, run = replay.subject(entry)
        if entry.kind == "run" and run is not None and run.status != "skipped":
            definition = model.definitions[ref]
            most[ref] = max(most[ref], len(model.active[ref]) + 1)
            assert definition.concurrency is None or len(model.active[ref]) < definition.concurrency, ref
    assert most["jobs.parallel.daily"] == 3
    assert most["jobs.parallel.wide"] > 3


def test_nobody_waits_for_what_has_ended(history: History) -> None:
    """Semantics D3: at the end only those wait whose upstream is still under way."""
    model = last_model(history)
    for ref in history.awaited:
        upstreams = {gate.partition(":")[2] for gate in model.definitions[ref].freshness}
        assert any(model.active[one] or one in history.awaited for one in upstreams), ref


def test_the_same_seed_tells_the_same_story() -> None:
    """Nothing depends on identifiers, on the order of sets, or on the real time."""
    story = Story(seed=SEEDS[0], days=30, actions_per_day=3, downtimes_per_day=0.5)
    first, second = (hashlib.sha256("\n".join(live_through(story).lines()).encode()).digest() for _ in range(2))
    assert first == second
