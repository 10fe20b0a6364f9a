-- Interactive jobs as apps: their names in URLs, and what the daemon must know of one that runs.

-- Made when a job first becomes interactive, and kept for as long as there is the job, so that its address stays.
CREATE TABLE apps (
    job_id BLOB PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    slug   TEXT NOT NULL UNIQUE          -- a DNS label
) STRICT, WITHOUT ROWID;
INSERT INTO apps (job_id, slug)
SELECT jobs.id, 'app-' || lower(hex(randomblob(4))) FROM jobs JOIN job_versions ON job_versions.id = jobs.version_id
WHERE json_extract(job_versions.definition, '$.entry_point.job_type') = 'interactive';

-- As before, with more reasons to stop, in words too, and where the app answers.
CREATE TABLE live_runs_of_apps (
    run_id        BLOB PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    pid           INTEGER,               -- of the sandbox's init
    pid_started   INTEGER,               -- its start time in clock ticks since boot, against recycled pids
    boot_id       TEXT,
    deadline_at   INTEGER,               -- when its timeout passes; for an app: until when it has to answer
    stop_reason   TEXT CHECK (stop_reason IN ('timeout', 'cancel', 'idle', 'replaced', 'unready')),
    stop_words    TEXT,                  -- what the run's reason will say
    stop_at       INTEGER,               -- when it was asked to stop
    log_offset    INTEGER NOT NULL DEFAULT 0,   -- bytes of the log file that are in `log_chunks`
    next_line     INTEGER NOT NULL DEFAULT 0,
    app_port      INTEGER,               -- where an app was told to listen, in its network
    app_prefix    TEXT                   -- the prefix of its paths that it was told
) STRICT;
INSERT INTO live_runs_of_apps (run_id, pid, pid_started, boot_id, deadline_at, stop_reason, stop_at, log_offset, next_line)
SELECT run_id, pid, pid_started, boot_id, deadline_at, stop_reason, stop_at, log_offset, next_line FROM live_runs;
DROP TABLE live_runs;
ALTER TABLE live_runs_of_apps RENAME TO live_runs;
