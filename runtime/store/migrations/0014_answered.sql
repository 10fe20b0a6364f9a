-- When an app answered for the first time: one that has is started again by a visit, whatever ended it.

ALTER TABLE runs ADD COLUMN answered_at INTEGER;
