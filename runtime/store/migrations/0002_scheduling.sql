-- Schedules, windows, refresh, hooks (semantics T, D, W, F, R).

-- What an operator has said of a job's schedule (T8), and a refresh that has not been spent yet (R2).
ALTER TABLE jobs ADD COLUMN paused_at INTEGER;
ALTER TABLE jobs ADD COLUMN schedule_override TEXT;         -- a trigger such as `every:10m`
ALTER TABLE jobs ADD COLUMN refresh_pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN at_once INTEGER;                -- how many intervals a backfill asked to run together

-- How far a timed trigger has been dispatched. A tick is taken by moving `last_tick_at` past it in the transaction
-- that creates the run, so each is dispatched exactly once, whatever dies when.
CREATE TABLE job_timers (
    job_id       BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    trigger      TEXT NOT NULL,
    since        INTEGER NOT NULL,       -- when this trigger was first deployed
    last_tick_at INTEGER,                -- the newest tick that was dispatched or skipped
    PRIMARY KEY (job_id, trigger)
) STRICT, WITHOUT ROWID;

-- Completed ticks of jobs that keep an interval store (W3), as ranges that neither touch nor overlap.
CREATE TABLE completed_intervals (
    job_id   BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    start_at INTEGER NOT NULL,
    end_at   INTEGER NOT NULL,
    PRIMARY KEY (job_id, start_at)
) STRICT, WITHOUT ROWID;

ALTER TABLE runs ADD COLUMN scheduled_at INTEGER;            -- the tick a timed run stands for
ALTER TABLE runs ADD COLUMN outcome TEXT;                    -- why a skipped run was skipped
ALTER TABLE runs ADD COLUMN skip_count INTEGER NOT NULL DEFAULT 1;   -- how many identical skips this row stands for (D7)
CREATE INDEX runs_active_of_job ON runs (job_id) WHERE status IN ('pending', 'starting', 'running', 'cancelling');

-- Jobs that were triggered together with an upstream they must wait for (D3); they are looked at when it settles.
CREATE TABLE awaited_starts (
    job_id       BLOB PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    trigger      TEXT NOT NULL,
    profile      TEXT,
    refresh      INTEGER NOT NULL,
    is_manual    INTEGER NOT NULL,
    scheduled_at INTEGER,
    triggered_by BLOB REFERENCES users (id)
) STRICT, WITHOUT ROWID;

-- The deployment that the last manifest was deployed with, so that `deployment:` triggers fire on a change (T6).
CREATE TABLE manifest_deployments (
    workspace_id  BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    module        TEXT NOT NULL,
    deployment_id BLOB NOT NULL REFERENCES deployments (id),
    PRIMARY KEY (workspace_id, module)
) STRICT, WITHOUT ROWID;

-- Webhooks (T7): a token opens one job's hook; what was posted waits with the run.
CREATE TABLE hook_tokens (
    id         BLOB PRIMARY KEY,
    job_id     BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    digest     BLOB NOT NULL UNIQUE,
    created_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    used_at    INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE run_payloads (
    run_id  BLOB PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    headers TEXT NOT NULL,               -- JSON object
    body    BLOB NOT NULL                -- zstd
) STRICT;
