-- Which network a device login was begun from: how many of each may wait is bounded.

ALTER TABLE device_logins ADD COLUMN network TEXT NOT NULL DEFAULT '';
CREATE INDEX device_logins_waiting ON device_logins (network, created_at) WHERE user_id IS NULL AND denied_at IS NULL;
