-- What a live run may use and, once it is over, what it used. The row is made when the run's process is recorded.
CREATE TABLE run_limits (
    run_id       BLOB PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    machine      TEXT NOT NULL,          -- JSON: the size it runs on, as it was described when the run began
    own_places   TEXT NOT NULL,          -- JSON: directories that are the run's alone
    kept_places  TEXT NOT NULL,          -- JSON: directories that were there before and stay; their growth counts
    kept_bytes   INTEGER,                -- what the latter held when the run began
    overuse      TEXT                    -- JSON: why the runtime stopped it
) STRICT;
