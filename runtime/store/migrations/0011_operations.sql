-- Retention and notifications.

-- Whoever deletes a run looks for those that name it.
CREATE INDEX runs_by_cause ON runs (prev_run_id) WHERE prev_run_id IS NOT NULL;
CREATE INDEX runs_ended_at ON runs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX runs_of_deployment ON runs (deployment_id);
CREATE INDEX runs_of_configuration ON runs (configuration_id);
CREATE INDEX audit_log_by_time ON audit_log (at);

-- Which environment a live run uses, so that it is not removed under it.
ALTER TABLE live_runs ADD COLUMN environment_key TEXT;

-- Runs that retention has removed, counted, so that statistics stay true: by the quarter of an hour they were created
-- in, which no time zone's hour cuts.
CREATE TABLE removed_runs (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    slot         INTEGER NOT NULL,       -- microseconds, the beginning of the quarter
    status       TEXT NOT NULL,
    runs         INTEGER NOT NULL,
    seconds      INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, slot, status)
) STRICT, WITHOUT ROWID;

-- Runs whose log has been removed before they are: one line in its place says so.
CREATE TABLE removed_logs (
    run_id BLOB PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- That a run is gone is news for a while; then its last change goes as well.
ALTER TABLE changes ADD COLUMN is_gone INTEGER NOT NULL DEFAULT 0;
CREATE INDEX changes_gone ON changes (at) WHERE is_gone = 1;
DROP TRIGGER runs_gone;
CREATE TRIGGER runs_gone AFTER DELETE ON runs BEGIN
    INSERT INTO changed VALUES (OLD.workspace_id, 'run', OLD.id);
    UPDATE changes SET is_gone = 1 WHERE subject_id = OLD.id;
END;

-- How large the stored logs are, without reading them.
ALTER TABLE log_totals ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE log_totals SET bytes = (SELECT coalesce(sum(length(content)), 0) FROM log_chunks);
DROP TRIGGER lines_added;
CREATE TRIGGER lines_added AFTER INSERT ON log_chunks BEGIN
    UPDATE log_totals SET lines = lines + NEW.line_count, bytes = bytes + length(NEW.content);
END;
CREATE TRIGGER lines_removed AFTER DELETE ON log_chunks BEGIN
    UPDATE log_totals SET bytes = bytes - length(OLD.content);
END;

-- What may be worth telling people, in the transaction in which it happens, whichever code makes that; the notifier
-- takes it from here and knows whom it concerns.
CREATE TABLE notable_events (
    kind   TEXT NOT NULL CHECK (kind IN ('failed', 'recovered', 'late', 'skipped')),
    run_id BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    at     INTEGER NOT NULL,
    PRIMARY KEY (kind, run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX notable_events_by_time ON notable_events (at);
CREATE TRIGGER runs_failed AFTER UPDATE OF status ON runs WHEN NEW.status = 'failed' AND OLD.status <> 'failed' BEGIN
    INSERT OR IGNORE INTO notable_events VALUES ('failed', NEW.id, NEW.updated_at);
END;
CREATE TRIGGER runs_recovered AFTER UPDATE OF status ON runs
WHEN NEW.status = 'completed' AND OLD.status <> 'completed' AND (
    SELECT earlier.status FROM runs AS earlier
    WHERE earlier.job_id = NEW.job_id AND earlier.number < NEW.number AND earlier.status IN ('completed', 'failed')
    ORDER BY earlier.number DESC LIMIT 1
) = 'failed' BEGIN
    INSERT OR IGNORE INTO notable_events VALUES ('recovered', NEW.id, NEW.updated_at);
END;
CREATE TRIGGER runs_born_late AFTER INSERT ON runs
WHEN NEW.status = 'pending' AND NEW.created_at - NEW.scheduled_at > 60000000 BEGIN
    INSERT OR IGNORE INTO notable_events VALUES ('late', NEW.id, NEW.created_at);
END;

-- A job that is skipped again and again has one row for it, which grows.
CREATE TRIGGER runs_skipped_again AFTER UPDATE OF skip_count ON runs
WHEN NEW.skip_count > OLD.skip_count AND NEW.ended_at - NEW.created_at >= 600000000 BEGIN
    INSERT OR IGNORE INTO notable_events VALUES ('skipped', NEW.id, NEW.updated_at);
END;

-- What people were told of a run, so that they are told once, or of a failing job again after a while.
CREATE TABLE told (
    target TEXT NOT NULL,
    kind   TEXT NOT NULL,
    job_id BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    run_id BLOB NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (target, kind, job_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE notifications (
    id         INTEGER PRIMARY KEY,
    target     TEXT NOT NULL,            -- its name in the settings
    kind       TEXT NOT NULL,
    title      TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX notifications_due ON notifications (target, due_at);
