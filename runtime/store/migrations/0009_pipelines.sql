-- What jobs report of the dlt pipelines they ran.

-- Both are JSON objects by table: a number of rows, the names of new columns. NULL where nobody said.
ALTER TABLE pipeline_run_summaries ADD COLUMN rows_by_table TEXT;
ALTER TABLE pipeline_run_summaries ADD COLUMN schema_changes TEXT;

-- A pipeline as its last load left it. Profiles have data of their own, so they have pipelines of their own.
CREATE TABLE pipelines (
    id               INTEGER PRIMARY KEY,
    workspace_id     BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    profile          TEXT NOT NULL,
    name             TEXT NOT NULL,
    dataset_name     TEXT,
    destination_name TEXT,
    destination_type TEXT,
    table_count      INTEGER NOT NULL,
    tables           TEXT NOT NULL,      -- JSON, as the domain's `Table`
    updated_at       INTEGER NOT NULL,
    UNIQUE (workspace_id, profile, name)
) STRICT;

-- What its loads did, for as long as the run is kept that made them.
CREATE TABLE pipeline_loads (
    pipeline_id    INTEGER NOT NULL REFERENCES pipelines (id) ON DELETE CASCADE,
    run_id         BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    transaction_id TEXT NOT NULL,
    started_at     INTEGER NOT NULL,
    document       TEXT NOT NULL,        -- JSON, as the domain's `Load`
    PRIMARY KEY (pipeline_id, run_id, transaction_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pipeline_loads_by_time ON pipeline_loads (pipeline_id, started_at);
CREATE INDEX pipeline_loads_of_run ON pipeline_loads (run_id);
