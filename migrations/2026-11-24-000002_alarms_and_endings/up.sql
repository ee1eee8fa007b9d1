-- What became of a family's alarm: which administrator read it, and what its person said. No
-- refresh touches these columns.
ALTER TABLE token_families ADD COLUMN alarm_read_at BIGINT;
ALTER TABLE token_families ADD COLUMN alarm_read_by BYTEA;
ALTER TABLE token_families ADD COLUMN alarm_answer TEXT;
ALTER TABLE token_families ADD COLUMN alarm_answered_at BIGINT;

-- Endings of many families, from their first step to their last.
CREATE TABLE endings (
    id BYTEA NOT NULL PRIMARY KEY,
    client_id TEXT,
    plan TEXT NOT NULL,
    after_at BIGINT NOT NULL,
    after_id BYTEA NOT NULL
);
