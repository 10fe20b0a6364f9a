-- A job whose ticks are skipped by turns, by several triggers or for several reasons, has a row for each: the second and
-- each that follows is noted as one that grows is (step 11).
CREATE TRIGGER runs_skipped_too AFTER INSERT ON runs
WHEN NEW.status = 'skipped' AND EXISTS (
    SELECT 1 FROM runs AS earlier
    WHERE earlier.job_id = NEW.job_id AND earlier.number = NEW.number - 1 AND earlier.status = 'skipped'
) BEGIN
    INSERT OR IGNORE INTO notable_events VALUES ('skipped', NEW.id, NEW.updated_at);
END;
