DELETE FROM meta WHERE name = 'keys_epoch';
DROP INDEX signing_keys_next;
DROP INDEX signing_keys_current;
-- What doesn't know of keys to come takes each that isn't retired for the one in force.
DELETE FROM signing_keys WHERE current_since IS NULL;
DELETE FROM token_keys WHERE current_since IS NULL OR compromised_at IS NOT NULL;
ALTER TABLE token_keys DROP COLUMN compromised_at;
ALTER TABLE token_keys DROP COLUMN current_since;
ALTER TABLE token_keys DROP COLUMN due_at;
ALTER TABLE signing_keys DROP COLUMN current_since;
ALTER TABLE signing_keys DROP COLUMN due_at;
