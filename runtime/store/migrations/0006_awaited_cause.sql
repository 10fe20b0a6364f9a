-- The run whose end asked for a start that had to wait: it is what the run follows (T4).
ALTER TABLE awaited_starts ADD COLUMN prev_run_id BLOB REFERENCES runs (id) ON DELETE SET NULL;
