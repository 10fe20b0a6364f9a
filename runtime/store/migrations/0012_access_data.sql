-- What interactive jobs of a workspace see of the data that its batch runs wrote.
ALTER TABLE workspaces ADD COLUMN access_data TEXT NOT NULL DEFAULT 'snapshot'
    CHECK (access_data IN ('snapshot', 'separate'));
