-- Which environment a run had; what is in it, `environments` says by this key for as long as the workspace is there.
ALTER TABLE runs ADD COLUMN environment_key TEXT;
UPDATE runs SET environment_key = (SELECT environment_key FROM live_runs WHERE run_id = runs.id)
WHERE id IN (SELECT run_id FROM live_runs WHERE environment_key IS NOT NULL);
