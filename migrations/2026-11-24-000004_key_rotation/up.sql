-- A key is published before it signs, and after it has stopped. `current_since`: none until
-- then; `due_at`: when it is to begin, where somebody ordered that.
ALTER TABLE signing_keys ADD COLUMN due_at BIGINT;
ALTER TABLE signing_keys ADD COLUMN current_since BIGINT;
UPDATE signing_keys SET current_since = created_at;
ALTER TABLE token_keys ADD COLUMN due_at BIGINT;
ALTER TABLE token_keys ADD COLUMN current_since BIGINT;
UPDATE token_keys SET current_since = created_at;

-- A secret that others may know: nothing of it counts any more. The row stays until no node
-- can have used it since.
ALTER TABLE token_keys ADD COLUMN compromised_at BIGINT;

-- Of nodes that come at once, one makes the key.
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (algorithm)
    WHERE current_since IS NOT NULL AND retired_at IS NULL;
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (algorithm) WHERE current_since IS NULL;
DELETE FROM meta WHERE name LIKE 'signing_key_%';

-- Counts the changes to keys, so that a node knows when those that it holds are old.
INSERT INTO meta (name, value) VALUES ('keys_epoch', '1');
