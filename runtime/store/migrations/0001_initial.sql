-- Times are integer microseconds since the epoch, UTC. Identifiers are 16-byte UUIDs.
-- Digests of packages are base64 SHA3-256 texts, as the clients write them; digests of secrets are 32-byte SHA-256.

CREATE TABLE organization (
    id          BLOB PRIMARY KEY,
    name        TEXT NOT NULL,
    description TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id          BLOB PRIMARY KEY,
    email       TEXT NOT NULL UNIQUE COLLATE NOCASE,
    local_uid   INTEGER UNIQUE,          -- set for operating-system accounts that came through the Unix socket
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT;

CREATE TABLE workspaces (
    id          BLOB PRIMARY KEY,
    name        TEXT NOT NULL,
    description TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE workspace_members (
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id      BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role         TEXT NOT NULL CHECK (role IN ('owner', 'viewer')),
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
) STRICT, WITHOUT ROWID;

-- Credentials. Only digests are kept of anything that opens a door.

CREATE TABLE device_logins (
    device_code_digest BLOB PRIMARY KEY,
    user_code          TEXT NOT NULL UNIQUE,
    user_id            BLOB REFERENCES users (id) ON DELETE CASCADE,   -- set once approved
    created_at         INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL,
    redeemed_at        INTEGER
) STRICT;

CREATE TABLE refresh_tokens (
    digest     BLOB PRIMARY KEY,
    family_id  BLOB NOT NULL,            -- one login; a reused token revokes all of its family
    user_id    BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);

CREATE TABLE machine_tokens (
    id           BLOB PRIMARY KEY,       -- the token's `jti`; the token itself is a signed JWT and is not kept
    user_id      BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    digest       BLOB NOT NULL,
    created_by   BLOB NOT NULL REFERENCES users (id),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    revoked_at   INTEGER
) STRICT;

CREATE TABLE audit_log (
    id           INTEGER PRIMARY KEY,
    at           INTEGER NOT NULL,
    user_id      BLOB REFERENCES users (id),
    workspace_id BLOB,
    action       TEXT NOT NULL,          -- `deployment.create`, `run.cancel`, ...
    subject      TEXT,                   -- what it was done to: an id, a job_ref, an email
    detail       TEXT                    -- JSON, never a secret
) STRICT;
CREATE INDEX audit_log_workspace ON audit_log (workspace_id, at);

-- Packages. Code is stored once per content, zstd-compressed; settings and secrets are sealed.

CREATE TABLE blobs (
    sha3_256 TEXT PRIMARY KEY,
    content  BLOB NOT NULL               -- zstd
) STRICT;

CREATE TABLE deployments (
    id                BLOB PRIMARY KEY,
    workspace_id      BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    version           INTEGER NOT NULL,
    content_hash      TEXT NOT NULL,
    file_count        INTEGER NOT NULL,
    size_bytes        INTEGER NOT NULL,  -- of the uploaded archive
    requirements      TEXT NOT NULL,     -- requirements.json as uploaded
    created_by        BLOB NOT NULL REFERENCES users (id),
    created_at        INTEGER NOT NULL,
    UNIQUE (workspace_id, version)
) STRICT;

CREATE TABLE deployment_files (
    deployment_id BLOB NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    relative_path TEXT NOT NULL,
    size_bytes    INTEGER NOT NULL,
    sha3_256      TEXT NOT NULL,         -- of the content in `blobs`, or of the link target
    linkname      TEXT,
    mode          INTEGER NOT NULL,
    PRIMARY KEY (deployment_id, relative_path)
) STRICT, WITHOUT ROWID;
CREATE INDEX deployment_files_blob ON deployment_files (sha3_256);

CREATE TABLE configurations (
    id           BLOB PRIMARY KEY,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    version      INTEGER NOT NULL,
    content_hash TEXT NOT NULL,
    file_count   INTEGER NOT NULL,
    size_bytes   INTEGER NOT NULL,
    profiles     TEXT NOT NULL,          -- JSON list of names
    created_by   BLOB NOT NULL REFERENCES users (id),
    created_at   INTEGER NOT NULL,
    UNIQUE (workspace_id, version)
) STRICT;

CREATE TABLE configuration_files (
    configuration_id BLOB NOT NULL REFERENCES configurations (id) ON DELETE CASCADE,
    relative_path    TEXT NOT NULL,
    size_bytes       INTEGER NOT NULL,
    sha3_256         TEXT NOT NULL,
    linkname         TEXT,
    mode             INTEGER NOT NULL,
    sealed           BLOB NOT NULL,      -- authenticated encryption, bound to configuration and path
    PRIMARY KEY (configuration_id, relative_path)
) STRICT, WITHOUT ROWID;

-- Jobs.

CREATE TABLE jobs (
    id           BLOB PRIMARY KEY,
    workspace_id BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    job_ref      TEXT NOT NULL,
    version_id   BLOB NOT NULL REFERENCES job_versions (id) DEFERRABLE INITIALLY DEFERRED,
    completed_until INTEGER,             -- end of the last completed window, where windows apply
    archived_at  INTEGER,
    created_by   BLOB NOT NULL REFERENCES users (id),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (workspace_id, job_ref)
) STRICT;

CREATE TABLE job_versions (
    id                BLOB PRIMARY KEY,
    job_id            BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    version           INTEGER NOT NULL,
    engine_version    INTEGER NOT NULL,
    definition        TEXT NOT NULL,     -- JSON as uploaded
    definition_hash   TEXT NOT NULL,
    deployment_module TEXT,
    created_by        BLOB NOT NULL REFERENCES users (id),
    created_at        INTEGER NOT NULL,
    UNIQUE (job_id, version)
) STRICT;

-- Runs.

CREATE TABLE runs (
    id               BLOB PRIMARY KEY,
    workspace_id     BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    job_id           BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    job_version_id   BLOB NOT NULL REFERENCES job_versions (id),
    deployment_id    BLOB NOT NULL REFERENCES deployments (id),
    configuration_id BLOB NOT NULL REFERENCES configurations (id),
    number           INTEGER NOT NULL,
    status           TEXT NOT NULL,
    trigger          TEXT NOT NULL,
    profile          TEXT NOT NULL,
    refresh          INTEGER NOT NULL DEFAULT 0,
    interval_start   INTEGER,
    interval_end     INTEGER,
    prev_run_id      BLOB REFERENCES runs (id) ON DELETE SET NULL,
    triggered_by     BLOB REFERENCES users (id),
    reason           TEXT,
    exit_code        INTEGER,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    started_at       INTEGER,
    ended_at         INTEGER,
    UNIQUE (job_id, number)
) STRICT;
CREATE INDEX runs_by_time ON runs (workspace_id, created_at);
CREATE INDEX runs_active ON runs (status, created_at) WHERE status IN ('pending', 'starting', 'running', 'cancelling');

-- What the daemon must know of a live run to find it again after a restart; the row goes when the run is settled.
CREATE TABLE live_runs (
    run_id        BLOB PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    pid           INTEGER,               -- of the sandbox's outermost process
    pid_started   INTEGER,               -- its start time in clock ticks since boot, against recycled pids
    boot_id       TEXT,
    deadline_at   INTEGER,               -- when its timeout passes
    stop_reason   TEXT CHECK (stop_reason IN ('timeout', 'cancel')),
    stop_at       INTEGER,               -- when it was asked to stop
    log_offset    INTEGER NOT NULL DEFAULT 0,   -- bytes of the log file that are in `log_chunks`
    next_line     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Log lines in the order they were read. All lines of a chunk were read at once and share one time.
CREATE TABLE log_chunks (
    run_id      BLOB NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    first_line  INTEGER NOT NULL,
    line_count  INTEGER NOT NULL,
    phase       TEXT NOT NULL CHECK (phase IN ('setup', 'program')),
    reported_at INTEGER NOT NULL,
    content     BLOB NOT NULL,           -- zstd of the lines joined by newlines, UTF-8
    PRIMARY KEY (run_id, first_line)
) STRICT, WITHOUT ROWID;

-- Environments. A request is what a job asks for, a key what it resolved to; both stay within one workspace,
-- because the build scripts of one tenant's packages are strangers to another tenant.

CREATE TABLE environments (
    workspace_id   BLOB NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    request_digest TEXT NOT NULL,        -- of the unresolved specs, Python and platform
    key            TEXT NOT NULL,        -- directory below <state>/envs
    resolved       TEXT NOT NULL,        -- JSON list of pinned specs
    python         TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    last_used_at   INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, request_digest)
) STRICT, WITHOUT ROWID;
