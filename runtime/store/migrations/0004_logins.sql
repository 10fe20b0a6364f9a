-- Signing in with a browser, and what the person who approves a login is shown of it.

ALTER TABLE device_logins ADD COLUMN denied_at INTEGER;
ALTER TABLE device_logins ADD COLUMN address TEXT;          -- where it was asked for
ALTER TABLE device_logins ADD COLUMN client TEXT;           -- what the program calls itself; anybody may call himself anything

CREATE TABLE passwords (
    user_id    BLOB PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash       TEXT NOT NULL,            -- argon2id with its parameters and salt (PHC string)
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE github_accounts (
    github_id    INTEGER PRIMARY KEY,    -- stays when an account is renamed
    user_id      BLOB NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    login        TEXT NOT NULL,
    connected_at INTEGER NOT NULL
) STRICT;

CREATE TABLE browser_sessions (
    digest     BLOB PRIMARY KEY,
    user_id    BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    method     TEXT NOT NULL CHECK (method IN ('password', 'github')),
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX browser_sessions_user ON browser_sessions (user_id);

-- Browsers that somebody has signed in with before: other people's failures do not slow them down.
CREATE TABLE known_browsers (
    digest  BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX known_browsers_user ON known_browsers (user_id, used_at);

-- Failed attempts, by the digest of what they are counted for: a network, an account, a browser.
CREATE TABLE attempts (
    subject BLOB PRIMARY KEY,
    count   INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_time ON attempts (last_at);
