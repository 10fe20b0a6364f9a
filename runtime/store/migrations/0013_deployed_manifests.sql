-- Which jobs a version of the code came with, so that it can be deployed again.

-- A manifest stands from the version that was the newest when it came until the next one of its module. One that says
-- what the one before it said is not stored again.
CREATE TABLE deployed_manifests (
    workspace_id   BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    module         TEXT NOT NULL,
    version        INTEGER NOT NULL,     -- of the code
    engine_version INTEGER NOT NULL,
    description    TEXT,
    jobs           TEXT NOT NULL,        -- JSON, a list of definitions as they came
    PRIMARY KEY (workspace_id, module, version)
) STRICT;
