-- The runs of one job by time, whatever else happens in its workspace.
CREATE INDEX runs_of_job ON runs (job_id, created_at);
