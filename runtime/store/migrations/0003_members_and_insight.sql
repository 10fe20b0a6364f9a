-- Public links, summaries of pipelines, what changed when, and totals for those who measure.

-- The public link of an interactive job. The secret is kept as it is: owners read it again whenever they look at the
-- job, and it opens what they have published and nothing more, which whoever reads this file reads anyway.
CREATE TABLE public_links (
    job_id     BLOB PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    secret     BLOB NOT NULL UNIQUE,     -- a random UUID
    created_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a pipeline reported of itself during a run; a report of the same pipeline replaces the one before.
CREATE TABLE pipeline_run_summaries (
    run_id           BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    pipeline_name    TEXT NOT NULL,
    dataset_name     TEXT,
    destination_name TEXT,
    status           TEXT,
    transaction_id   TEXT,
    total_rows       INTEGER,
    duration_ms      INTEGER,
    started_at       INTEGER,
    finished_at      INTEGER,
    PRIMARY KEY (run_id, pipeline_name)
) STRICT, WITHOUT ROWID;

-- What changed, newest last: one row for each thing, which a further change moves to the end under a new number. So
-- whoever has seen everything up to a number reads the rest from here, however long they were away, and the table
-- grows with the things there are, not with what happens to them. Numbers are never used twice. What has been deleted
-- keeps its row. Triggers write it, in the transaction of the change itself, whichever code makes that.
CREATE TABLE changes (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id BLOB NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('workspace', 'deployment', 'configuration', 'job', 'run')),
    subject_id   BLOB NOT NULL UNIQUE,
    at           INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_of_workspace ON changes (workspace_id, seq);
CREATE INDEX changes_of_kind ON changes (workspace_id, kind, seq);

CREATE VIEW changed AS SELECT workspace_id, kind, subject_id FROM changes;
CREATE TRIGGER changed_note INSTEAD OF INSERT ON changed BEGIN
    DELETE FROM changes WHERE subject_id = NEW.subject_id;
    INSERT INTO changes (workspace_id, kind, subject_id, at)
    VALUES (NEW.workspace_id, NEW.kind, NEW.subject_id, CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER));
END;

CREATE TRIGGER runs_added AFTER INSERT ON runs BEGIN
    INSERT INTO changed VALUES (NEW.workspace_id, 'run', NEW.id);
END;
CREATE TRIGGER runs_changed AFTER UPDATE ON runs BEGIN
    INSERT INTO changed VALUES (NEW.workspace_id, 'run', NEW.id);
END;
CREATE TRIGGER runs_gone AFTER DELETE ON runs BEGIN
    INSERT INTO changed VALUES (OLD.workspace_id, 'run', OLD.id);
END;
CREATE TRIGGER summaries_added AFTER INSERT ON pipeline_run_summaries BEGIN
    INSERT INTO changed SELECT workspace_id, 'run', id FROM runs WHERE id = NEW.run_id;
END;
CREATE TRIGGER summaries_changed AFTER UPDATE ON pipeline_run_summaries BEGIN
    INSERT INTO changed SELECT workspace_id, 'run', id FROM runs WHERE id = NEW.run_id;
END;
CREATE TRIGGER jobs_added AFTER INSERT ON jobs BEGIN
    INSERT INTO changed VALUES (NEW.workspace_id, 'job', NEW.id);
END;
CREATE TRIGGER jobs_changed AFTER UPDATE ON jobs BEGIN
    INSERT INTO changed VALUES (NEW.workspace_id, 'job', NEW.id);
END;
CREATE TRIGGER jobs_gone AFTER DELETE ON jobs BEGIN
    INSERT INTO changed VALUES (OLD.workspace_id, 'job', OLD.id);
END;
CREATE TRIGGER timers_added AFTER INSERT ON job_timers BEGIN
    INSERT INTO changed SELECT workspace_id, 'job', id FROM jobs WHERE id = NEW.job_id;
END;
CREATE TRIGGER timers_changed AFTER UPDATE ON job_timers BEGIN
    INSERT INTO changed SELECT workspace_id, 'job', id FROM jobs WHERE id = NEW.job_id;
END;
CREATE TRIGGER links_added AFTER INSERT ON public_links BEGIN
    INSERT INTO changed SELECT workspace_id, 'job', id FROM jobs WHERE id = NEW.job_id;
END;
CREATE TRIGGER links_changed AFTER UPDATE ON public_links BEGIN
    INSERT INTO changed SELECT workspace_id, 'job', id FROM jobs WHERE id = NEW.job_id;
END;
CREATE TRIGGER links_gone AFTER DELETE ON public_links BEGIN
    INSERT INTO changed SELECT workspace_id, 'job', id FROM jobs WHERE id = OLD.job_id;
END;
CREATE TRIGGER deployments_added AFTER INSERT ON deployments BEGIN
    INSERT INTO changed VALUES (NEW.workspace_id, 'deployment', NEW.id);
END;
CREATE TRIGGER configurations_added AFTER INSERT ON configurations BEGIN
    INSERT INTO changed VALUES (NEW.workspace_id, 'configuration', NEW.id);
END;
CREATE TRIGGER workspaces_added AFTER INSERT ON workspaces BEGIN
    INSERT INTO changed VALUES (NEW.id, 'workspace', NEW.id);
END;
CREATE TRIGGER workspaces_changed AFTER UPDATE ON workspaces BEGIN
    INSERT INTO changed VALUES (NEW.id, 'workspace', NEW.id);
END;

-- Runs that have ended, by how long they took, for a histogram that costs nothing to read. `at_most` is the upper bound
-- of its bucket in seconds, -1 where it is open, 0 for runs that never started.
CREATE TABLE run_totals (
    workspace_id BLOB NOT NULL,
    status       TEXT NOT NULL,
    at_most      INTEGER NOT NULL,
    runs         INTEGER NOT NULL,
    seconds      REAL NOT NULL,
    PRIMARY KEY (workspace_id, status, at_most)
) STRICT, WITHOUT ROWID;

CREATE VIEW ended AS SELECT workspace_id, status, 0.0 AS seconds FROM run_totals;
CREATE TRIGGER ended_count INSTEAD OF INSERT ON ended BEGIN
    INSERT INTO run_totals VALUES (
        NEW.workspace_id,
        NEW.status,
        CASE WHEN NEW.seconds IS NULL THEN 0
             WHEN NEW.seconds <= 1 THEN 1
             WHEN NEW.seconds <= 10 THEN 10
             WHEN NEW.seconds <= 60 THEN 60
             WHEN NEW.seconds <= 300 THEN 300
             WHEN NEW.seconds <= 1800 THEN 1800
             WHEN NEW.seconds <= 7200 THEN 7200
             ELSE -1 END,
        1,
        coalesce(NEW.seconds, 0.0)
    )
    ON CONFLICT DO UPDATE SET runs = runs + 1, seconds = seconds + excluded.seconds;
END;
CREATE TRIGGER runs_born_ended AFTER INSERT ON runs WHEN NEW.ended_at IS NOT NULL BEGIN
    INSERT INTO ended VALUES (NEW.workspace_id, NEW.status, (NEW.ended_at - NEW.started_at) / 1e6);
END;
CREATE TRIGGER runs_ended AFTER UPDATE OF ended_at ON runs WHEN OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL BEGIN
    INSERT INTO ended VALUES (NEW.workspace_id, NEW.status, (NEW.ended_at - NEW.started_at) / 1e6);
END;

CREATE TABLE log_totals (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    lines INTEGER NOT NULL
) STRICT;
INSERT INTO log_totals SELECT 1, coalesce(sum(line_count), 0) FROM log_chunks;
CREATE TRIGGER lines_added AFTER INSERT ON log_chunks BEGIN
    UPDATE log_totals SET lines = lines + NEW.line_count;
END;

-- What there was before this migration.
INSERT INTO changed SELECT id, 'workspace', id FROM workspaces ORDER BY updated_at;
INSERT INTO changed SELECT workspace_id, 'deployment', id FROM deployments ORDER BY created_at;
INSERT INTO changed SELECT workspace_id, 'configuration', id FROM configurations ORDER BY created_at;
INSERT INTO changed SELECT workspace_id, 'job', id FROM jobs ORDER BY updated_at;
INSERT INTO changed SELECT workspace_id, 'run', id FROM runs ORDER BY updated_at;
INSERT INTO ended SELECT workspace_id, status, (ended_at - started_at) / 1e6 FROM runs WHERE ended_at IS NOT NULL;
