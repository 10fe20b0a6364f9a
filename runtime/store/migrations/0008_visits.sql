-- Visits of apps: a browser that has been let in, by its session with us or by a public link; of secrets only the digest.

CREATE TABLE app_visits (
    digest      BLOB PRIMARY KEY,        -- of the cookie that the browser has at the app's address
    job_id      BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    session     BLOB REFERENCES browser_sessions (digest) ON DELETE CASCADE,
    link        BLOB,                    -- digest of the public link's secret, where no session is behind the visit
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    CHECK ((session IS NULL) <> (link IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX app_visits_session ON app_visits (session);
CREATE INDEX app_visits_expiry ON app_visits (expires_at);

-- Let a browser in at the app's address, once and soon.
CREATE TABLE app_tickets (
    digest      BLOB PRIMARY KEY,
    job_id      BLOB NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    session     BLOB REFERENCES browser_sessions (digest) ON DELETE CASCADE,
    link        BLOB,
    expires_at  INTEGER NOT NULL,
    CHECK ((session IS NULL) <> (link IS NULL))
) STRICT, WITHOUT ROWID;
