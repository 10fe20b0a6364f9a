-- That a deployment or a configuration is gone is news as well, so that lists which show it are sent again.

CREATE TRIGGER deployments_gone AFTER DELETE ON deployments BEGIN
    INSERT INTO changed VALUES (OLD.workspace_id, 'deployment', OLD.id);
    UPDATE changes SET is_gone = 1 WHERE subject_id = OLD.id;
END;
CREATE TRIGGER configurations_gone AFTER DELETE ON configurations BEGIN
    INSERT INTO changed VALUES (OLD.workspace_id, 'configuration', OLD.id);
    UPDATE changes SET is_gone = 1 WHERE subject_id = OLD.id;
END;

-- Those that went before this migration.
INSERT INTO changed SELECT workspace_id, kind, subject_id FROM changes
WHERE kind = 'deployment' AND subject_id NOT IN (SELECT id FROM deployments)
   OR kind = 'configuration' AND subject_id NOT IN (SELECT id FROM configurations);
UPDATE changes SET is_gone = 1
WHERE kind = 'deployment' AND subject_id NOT IN (SELECT id FROM deployments)
   OR kind = 'configuration' AND subject_id NOT IN (SELECT id FROM configurations);
